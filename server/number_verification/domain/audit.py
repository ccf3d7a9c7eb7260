"""What is written down of every authorization, token and call, for the operator, the regulator and the bill.

A record never holds a number: it holds a mask, which people recognise a number by that they know already, and a keyed
hash, by which all records of one subscriber are found (invariant 6).
"""

import enum
from typing import NamedTuple, Protocol

from number_verification.domain.clock import Milliseconds

OK = "OK"
"""The outcome of what succeeded."""

_HIDDEN = 6
"""Digits that a mask hides at least: a million numbers look the same."""
_FIRST, _LAST = 3, 2


class AuditKind(enum.StrEnum):
    """What a record is about."""

    AUTHORIZATION = "authorization"
    """A request to the authorization endpoint."""
    TOKEN = "token"
    """A request to the token endpoint."""
    CALL = "call"
    """A call of the API, or of an internal service."""


class NumberMark(NamedTuple):
    """What stands for a phone number in a record. All empty where there is none."""

    masked: str = ""
    key: str = ""
    """Names the key of the hash: there is another one for each period."""
    digest: str = ""
    """HMAC-SHA256 of the number with its `+`, in hexadecimal."""


class AuditRecord(NamedTuple):
    """One thing that happened. What does not apply is empty."""

    time: Milliseconds
    kind: AuditKind
    correlator: str
    operation: str
    """`authorize`, `token`, or the full name of the method that was called."""
    transport: str
    outcome: str
    """The public error code; `OK` for success."""
    reason: str = ""
    """Why it was refused, for the operator."""
    client_id: str = ""
    application: str = ""
    """Resource names, as are those of the customer and the channel partner."""
    customer: str = ""
    channel_partner: str = ""
    principal: str = ""
    """Who called an internal service."""
    resource: str = ""
    """What such a call was about."""
    method: str = ""
    """How the end user was authenticated (`amr`)."""
    purpose: str = ""
    number: NumberMark = NumberMark()


class AuditLog(Protocol):
    """Where records are written."""

    def record(self, record: AuditRecord, phone_number: str = "") -> None:
        """Write a record down; when this returns, the death of the process cannot undo it.

        Args:
            record: without its `number`.
            phone_number: whom it is about; empty for nobody.

        Raises:
            StoreUnavailable: nothing of it was written.
        """
        ...


def masked(phone_number: str) -> str:
    """A phone number of which at most the first three and the last two digits are left, the fewer the shorter it is."""
    digits = len(phone_number) - 1
    shown = max(0, digits - _HIDDEN)
    last = min(_LAST, shown)
    first = min(_FIRST, shown - last)
    return f"{phone_number[: first + 1]}{'*' * (digits - first - last)}{phone_number[digits + 1 - last :]}"
