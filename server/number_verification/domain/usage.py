"""Usage: how often each application did what."""

from typing import NamedTuple


class Usage(NamedTuple):
    """What is counted together. The names are resource names; who has no channel partner has an empty one."""

    day: str
    """The UTC day, `2026-03-01`."""
    application: str
    customer: str
    channel_partner: str
    operation: str
    """`authorize`, `token`, or the full name of a method."""
    outcome: str
    """The public error code; `OK` for success."""


class UsageRow(NamedTuple):
    """How often something happened on one day."""

    usage: Usage
    times: int
