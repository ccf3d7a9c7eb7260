"""What became of a datagram: names for counters, and the exceptions that stand for a datagram that is dropped."""

import enum


class Outcome(enum.StrEnum):
    """Every datagram has exactly one of these outcomes."""

    RECORDED = "recorded"
    """On disk, or without effect, and answered."""
    STATUS_SERVER = "status_server"
    """A question whether the server is alive, answered."""
    DUPLICATE = "duplicate"
    """Answered before: the same answer again."""
    MALFORMED = "malformed"
    BAD_AUTHENTICATOR = "bad_authenticator"
    UNKNOWN_CLIENT = "unknown_client"
    IGNORED_CODE = "ignored_code"
    OUT_OF_WINDOW = "out_of_window"
    NO_TIMESTAMP = "no_timestamp"
    STORE_FAILED = "store_failed"


class Dropped(Exception):
    """A datagram that gets no answer. Its message names no content."""

    outcome: Outcome


class MalformedPacket(Dropped):
    """The bytes are no packet that this server can understand."""

    outcome = Outcome.MALFORMED


class NotAuthentic(Dropped):
    """The packet was not made with the client's secret."""

    outcome = Outcome.BAD_AUTHENTICATOR


class CodeIgnored(Dropped):
    """The packet is of a kind that an accounting server does not answer."""

    outcome = Outcome.IGNORED_CODE


class OutOfWindow(Dropped):
    """The event is older, or further ahead, than is believed."""

    outcome = Outcome.OUT_OF_WINDOW


class TimestampMissing(Dropped):
    """The client has to send Event-Timestamp and did not."""

    outcome = Outcome.NO_TIMESTAMP
