"""Approvals where none are kept: whatever needs consent is refused, as none was ever given."""

from number_verification.domain.application import Application, LegalBasis
from number_verification.domain.clock import Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Subscriber


class NothingOnRecord:
    """`domain.approval.Approvals` without a record."""

    def objection(
        self, subscriber: Subscriber, application: Application, purpose: str, scopes: frozenset[str], now: Milliseconds
    ) -> Reason | None:
        """See the Protocol."""
        return Reason.CONSENT_MISSING if application.legal_bases.get(purpose) is LegalBasis.CONSENT else None

    def withdrawal(
        self, phone_number: str, application: Application, purpose: str, since: Milliseconds
    ) -> Reason | None:
        """See the Protocol."""
        return None
