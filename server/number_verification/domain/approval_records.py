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


class Standing(NamedTuple):
    """A consent or an opt-out, as a statement left it."""

    scopes: frozenset[str]
    """Empty for opt-outs."""
    given: Milliseconds
    """When consent was given, or the subscriber opted out first."""
    expires: Milliseconds = 0
    """0 for never."""
    withdrawn: Milliseconds = 0
    """When consent was withdrawn first; 0 while it stands."""


class Entry(NamedTuple):
    """One entry of the history."""

    change: int
    """Its number: greater than that of every entry before, of all subscribers."""
    statement: Statement
    standing: Standing
    """How things stood after it; for opting in, what was lifted."""
    recorded: Milliseconds
    current: bool
    """Whether it is what counts now. What opting in lifted does not."""

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


def standing_after(statement: Statement, before: Standing | None, now: Milliseconds) -> Standing:
    """What a statement makes of what was there for the same subscriber, application and purpose.

    Raises:
        NothingRecorded: there is nothing to withdraw or to lift.
    """
    if statement.action is Action.GIVEN:
        return Standing(statement.scopes, now, statement.expires)
    if statement.action is Action.OPTED_OUT:
        return before or Standing(frozenset(), now)
    if before is None:
        raise NothingRecorded
    if statement.action is Action.WITHDRAWN:
        return before._replace(withdrawn=before.withdrawn or now)
    return before


def ends_grants(statement: Statement, before: Standing | None) -> bool:
    """Whether grants from before a statement are dead after it."""
    if statement.action is not Action.GIVEN:
        return True
    return before is not None and (bool(before.withdrawn) or not before.scopes <= statement.scopes)


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
        """What is on record for an application and a purpose: the consent, and the opt-outs; in no order."""
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
