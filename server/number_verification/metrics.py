"""What is counted. Labels come from closed sets, and none is about a person (invariant 6).

The processes of the service count in files of a common folder (prometheus-client's multiprocess mode), which the admin
listener adds up. The folder is named in the environment before this module is imported.
"""

from prometheus_client import Counter, Histogram

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)

calls = Counter(
    "number_verification_calls",
    "Calls of the API by method, transport, public error code (OK for none) and the operator's reason.",
    ["method", "transport", "code", "reason"],
)
call_seconds = Histogram(
    "number_verification_call_seconds", "How long calls took.", ["method", "transport"], buckets=_SECONDS
)
application_calls = Counter(
    "number_verification_application_calls",
    "What applications asked for, by application, customer, channel partner, operation and public error code.",
    ["application", "customer", "channel_partner", "operation", "code"],
)
authorizations = Counter(
    "number_verification_authorizations",
    "Requests to the authorization server by endpoint, OAuth error (none for success) and the operator's reason.",
    ["endpoint", "error", "reason"],
)
feed_events = Counter("number_verification_feed_events", "Packets and events of feeds by outcome.", ["feed", "outcome"])
overload = Counter("number_verification_overload", "Requests turned away because every thread was busy.", ["transport"])
