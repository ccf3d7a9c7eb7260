"""The record of what subscribers agreed and objected to. The docstrings are the contract of its stores.

Subscribers are known by a keyed hash of their phone number: no store ever sees a number.
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from number_verification.domain.approval import Approval
from number_verification.domain.clock import Milliseconds

SUBSCRIBER_BYTES = 16


class Action(enum.StrEnum):
    """What a subscriber did."""

    GIVEN = "given"
    WITHDRAWN = "withdrawn"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


class Statement(NamedTuple):
    """What is to be recorded."""

    action: Action
    subscriber: bytes
    """SUBSCRIBER_BYTES of a keyed hash."""
    application: str
    """The name of one, or ALL in an opt-out."""
    purpose: str
    """One (`dpv:…`), or ALL in an opt-out."""
    recorded_by: str
    """Who recorded it."""
    scopes: frozenset[str] = frozenset()
    """For consent that is given."""
    expires: Milliseconds = 0
    """For consent that is given; 0 for never."""
    evidence: str = ""
    """How the subscriber said so, for who has to prove it (GDPR art. 7 (1))."""
    request_id: str = ""
    """The same statement with the same id, by the same recorder, is recorded once."""

    def __repr__(self) -> str:
        return f"Statement({self.action.value}, …)"


class Entry(NamedTuple):
    """One entry of the history: a statement, and how things stood after it."""

    change: int
    """Its number: greater than that of every entry before, of all subscribers."""
    statement: Statement
    """For a withdrawal, with the scopes and the expiry of the consent that was withdrawn."""
    recorded: Milliseconds
    given: Milliseconds
    """When the consent in question was given; 0 for opt-outs."""
    withdrawn: Milliseconds
    """When it was withdrawn first; 0 for consent that stands, and for opt-outs."""
    current: bool
    """Whether it is what counts now."""

    def __repr__(self) -> str:
        return f"Entry({self.change}, …)"


class Ending(NamedTuple):
    """A change that ends grants."""

    action: Action
    subscriber: bytes
    application: str
    purpose: str
    recorded: Milliseconds

    def __repr__(self) -> str:
        return f"Ending({self.action.value}, …)"


class NothingRecorded(Exception):
    """There is no consent to withdraw, or no opt-out to lift."""


class RequestIdUsed(Exception):
    """The recorder used the request id for something else."""


class ApprovalRecords(Protocol):
    """Keeps the approvals of all subscribers. Safe for threads and processes, and with PostgreSQL for nodes.

    What was recorded stays, whatever process dies. Writes are serialized: their order is that of their numbers, and
    whoever sees a number sees every write up to it.

    All methods raise StoreUnavailable (StoreFull where there is no room), and then nothing was done.
    """

    def record(self, statement: Statement) -> Entry:
        """Record a statement. It counts from when this returns, and its entry says since when.

        Consent that is given takes the place of the one that the subscriber gave to the application for the purpose
        before. Consent that is withdrawn again stays withdrawn since the first time; so does an opt-out. Giving consent
        lifts no opt-out.

        Raises:
            NothingRecorded: there is no consent for exactly this application and purpose, or no opt-out.
            RequestIdUsed: see there.
        """
        ...

    def concerning(self, subscriber: bytes, application: str, purpose: str) -> Sequence[Approval]:
        """What counts now for an application and a purpose: the consent, and the opt-outs, from narrow to wide."""
        ...

    def entries(self, subscriber: bytes, after: int, limit: int, *, current: bool = False) -> Sequence[Entry]:
        """Up to `limit` entries of a subscriber whose number is greater than `after`, in the order of their numbers.

        Args:
            subscriber: whose.
            after: 0 for the first.
            limit: at least 1.
            current: only what counts now.
        """
        ...

    def change(self) -> int:
        """The greatest number so far; 0 at the beginning. Cheap."""
        ...

    def endings(self, after: int, until: int, recorded_from: Milliseconds, limit: int) -> Sequence[Ending]:
        """Up to `limit` changes that end grants, in the order of their numbers.

        These are: withdrawals and opt-outs; consent that was given after a withdrawal, or for less than before; opting
        in. The last two leave those grants dead that were issued before them.

        Args:
            after: only greater numbers.
            until: only numbers up to this one.
            recorded_from: only what was recorded at this instant or later.
            limit: at least 1.
        """
        ...

    def close(self) -> None:
        """Release what the store holds. Nothing may be called after it."""
        ...
