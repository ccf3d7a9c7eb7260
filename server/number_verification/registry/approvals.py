"""User approval as the authorization server and the API ask for it: all that is on record, or only what just ended."""

from collections.abc import Callable
from dataclasses import dataclass

from number_verification.domain.application import Application, LegalBasis
from number_verification.domain.approval import OBJECTIONABLE, objection_of
from number_verification.domain.approval_records import ApprovalRecords
from number_verification.domain.clock import Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Subscriber
from number_verification.registry.recent_endings import RecentEndings


@dataclass(frozen=True, slots=True)
class SqlApprovals:
    """`domain.approval.Approvals` over the registry.

    Args:
        records: all that is on record.
        recent: what ended grants in the last minutes.
        hashed: subscribers by their phone number.
    """

    records: ApprovalRecords
    recent: RecentEndings
    hashed: Callable[[str], bytes]

    def objection(
        self, subscriber: Subscriber, application: Application, purpose: str, scopes: frozenset[str], now: Milliseconds
    ) -> Reason | None:
        """See the Protocol."""
        basis = application.legal_bases.get(purpose)
        if basis is None:
            return Reason.PURPOSE_NOT_ALLOWED
        if basis not in OBJECTIONABLE:
            return None
        if not subscriber.phone_number:
            return Reason.NUMBER_UNKNOWN
        on_record = self.records.concerning(self.hashed(subscriber.phone_number), application.name, purpose)
        return objection_of(on_record, application.name, basis, purpose, scopes, now)

    def withdrawal(
        self, phone_number: str, application: Application, purpose: str, since: Milliseconds
    ) -> Reason | None:
        """See the Protocol."""
        # A purpose without a legal basis (any more) is refused elsewhere; here it leaves nobody without their say.
        basis = application.legal_bases.get(purpose, LegalBasis.CONSENT)
        if basis not in OBJECTIONABLE:
            return None
        if not phone_number:
            return Reason.NUMBER_UNKNOWN
        return self.recent.objection(
            lambda: self.hashed(phone_number),
            application.name,
            purpose,
            since,
            consent_counts=basis is LegalBasis.CONSENT,
        )
