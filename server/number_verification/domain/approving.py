"""What the operator's own services do with approvals: record what subscribers say, and look up what follows."""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from number_verification.domain.approval import Approval, api_scopes, objection_of
from number_verification.domain.approval_records import (
    Action,
    ApprovalRecords,
    Entry,
    NothingRecorded,
    RequestIdUsed,
    Statement,
)
from number_verification.domain.clock import Clock, Milliseconds
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation

_COUNTRY_CODE, _LONG = 3, 10

MAX_INSTANT: Milliseconds = 253_402_300_799_999
"""The last one of the year 9999, the end of `google.protobuf.Timestamp`."""


class Finding(NamedTuple):
    """What would be decided now, and why."""

    objection: Reason | None
    on_record: Sequence[Approval]
    """What there is for the application and the purpose, whether it counts or not."""


class Said(NamedTuple):
    """What a subscriber said, as it came in."""

    phone_number: str
    application: str
    purpose: str
    recorded_by: str
    evidence: str = ""
    request_id: str = ""
    scopes: frozenset[str] = frozenset()
    expires: Milliseconds = 0

    def __repr__(self) -> str:
        return "Said(…)"


@dataclass(frozen=True, slots=True)
class Approving:
    """Records and looks up.

    Args:
        records: where approvals are kept.
        registered: finds an application by its name.
        hashed: subscribers by their phone number.
        clock: the wall clock.
    """

    records: ApprovalRecords
    registered: Callable[[str], RegisteredApplication | None]
    hashed: Callable[[str], bytes]
    clock: Clock

    def give(self, said: Said) -> Entry:
        """Record consent.

        Raises:
            Refusal: NOT_FOUND, there is no such application; INVALID_ARGUMENT.
        """
        application = self._application(said.application)
        violations = [*_unregistered(application, said.purpose)]
        if not said.scopes <= api_scopes(application.scopes):
            violations.append(Violation("scopes", "must be API scopes that the application registered"))
        if said.expires and not self.clock() < said.expires <= MAX_INSTANT:
            violations.append(Violation("expireTime", "must lie ahead"))
        if violations:
            raise _invalid(*violations)
        return self._record(Action.GIVEN, said)

    def withdraw(self, said: Said) -> Entry:
        """Record that consent was withdrawn.

        Raises:
            Refusal: NOT_FOUND, there is none; INVALID_ARGUMENT.
        """
        return self._record(Action.WITHDRAWN, said)

    def opt_out(self, said: Said) -> Entry:
        """Record an objection.

        Raises:
            Refusal: NOT_FOUND, there is no such application; INVALID_ARGUMENT.
        """
        if said.application:
            self._application(said.application)
        return self._record(Action.OPTED_OUT, said)

    def opt_in(self, said: Said) -> Entry:
        """Record that an objection was lifted.

        Raises:
            Refusal: NOT_FOUND, there is none; INVALID_ARGUMENT.
        """
        return self._record(Action.OPTED_IN, said)

    def look_up(self, phone_number: str, application: str, purpose: str, scopes: frozenset[str]) -> Finding:
        """What would be decided if the application asked for the scopes and the purpose now.

        Raises:
            Refusal: NOT_FOUND, there is no such application; INVALID_ARGUMENT.
        """
        registered = self._application(application)
        violations = _unregistered(registered, purpose)
        if violations:
            raise _invalid(*violations)
        on_record = self.records.concerning(self.hashed(phone_number), application, purpose)
        basis = registered.purposes[purpose]
        return Finding(objection_of(on_record, application, basis, purpose, scopes, self.clock()), on_record)

    def entries(self, phone_number: str, after: int, limit: int, *, current: bool) -> Sequence[Entry]:
        """What is on record for a subscriber, as `ApprovalRecords.entries` has it."""
        return self.records.entries(self.hashed(phone_number), after, limit, current=current)

    def _application(self, name: str) -> RegisteredApplication:
        application = self.registered(name)
        if application is None:
            raise Refusal(Kind.NOT_FOUND, Reason.NO_SUCH_ENTITY)
        return application

    def _record(self, action: Action, said: Said) -> Entry:
        if any(unicodedata.category(character) == "Cc" for character in said.evidence):
            raise _invalid(Violation("evidence", "must be one line without control characters"))
        # The record is kept for years, for people who must not see the number.
        if _names(said.evidence, said.phone_number):
            raise _invalid(Violation("evidence", "must not name the phone number"))
        statement = Statement(
            action,
            self.hashed(said.phone_number),
            said.application,
            said.purpose,
            said.recorded_by,
            said.scopes,
            said.expires,
            said.evidence,
            said.request_id,
        )
        try:
            return self.records.record(statement)
        except NothingRecorded:
            raise Refusal(Kind.NOT_FOUND, Reason.NO_SUCH_ENTITY) from None
        except RequestIdUsed:
            raise _invalid(Violation("requestId", "was used for another request")) from None


def _names(text: str, phone_number: str) -> bool:
    """Whether a text holds a number: in any script, with anything between its digits, or as it is dialled at home."""
    digits = "".join(str(digit) for character in text if (digit := unicodedata.digit(character, None)) is not None)
    number = phone_number[1:]
    # No country code is longer than three digits. What is left of a short number could be any day or dialogue.
    return (number[_COUNTRY_CODE:] if len(number) >= _LONG else number) in digits


def _unregistered(application: RegisteredApplication, purpose: str) -> Sequence[Violation]:
    if purpose in application.purposes:
        return ()
    return (Violation("purpose", "is not one that the application registered"),)


def _invalid(*violations: Violation) -> Refusal:
    return Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=violations)
