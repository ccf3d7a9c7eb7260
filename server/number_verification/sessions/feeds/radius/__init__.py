"""RADIUS accounting (RFC 2866) as a feed of session events.

A datagram goes this way: `packet` reads and authenticates it, `accounting` turns it into events (with `attributes` for
its values and `gateways` for the gateway's name), `listener` records the events and only then answers.
"""
