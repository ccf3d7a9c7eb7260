"""Whether a subscriber agrees to what an application wants to do: consent and opt-outs."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol, TypeAlias

from number_verification.domain.application import Application, LegalBasis
from number_verification.domain.clock import Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Subscriber

ALL = ""
"""Stands for every application, or every purpose, in an opt-out."""

PURPOSE_PREFIX = "dpv:"
OPENID = "openid"

OBJECTIONABLE = frozenset({LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTEREST, LegalBasis.PUBLIC_INTEREST})
"""The legal bases on which a subscriber can stop processing: by withdrawing (GDPR art. 7 (3)) or by objecting (art. 21
(1), which names those of art. 6 (1) e and f). Contract, legal obligation and vital interest leave no choice."""


class Consent(NamedTuple):
    """That a subscriber agreed to what an application does for a purpose."""

    application: str
    purpose: str
    scopes: frozenset[str]
    """The API scopes that it covers."""
    given: Milliseconds
    expires: Milliseconds = 0
    """From this instant on it is worth nothing; 0 for never."""
    withdrawn: Milliseconds = 0
    """When it was withdrawn first; 0 for one that stands."""

    def covers(self, scopes: frozenset[str]) -> bool:
        """Whether it was given for all of these scopes, as far as they are those of an API."""
        return api_scopes(scopes) <= self.scopes


class OptOut(NamedTuple):
    """That a subscriber objected, to one application or ALL, for one purpose or ALL."""

    application: str
    purpose: str
    since: Milliseconds

    def concerns(self, application: str, purpose: str) -> bool:
        """Whether it was meant for this."""
        return self.application in (ALL, application) and self.purpose in (ALL, purpose)


Approval: TypeAlias = Consent | OptOut


def api_scopes(scopes: Iterable[str]) -> frozenset[str]:
    """Those that stand for something an API does. `openid` names the user to the application, a purpose nothing."""
    return frozenset(scope for scope in scopes if scope != OPENID and not scope.startswith(PURPOSE_PREFIX))


def objection_of(
    approvals: Iterable[Approval],
    application: str,
    legal_basis: LegalBasis,
    purpose: str,
    scopes: frozenset[str],
    now: Milliseconds,
) -> Reason | None:
    """Why an application may not process a subscriber's data for a purpose; None if it may.

    Args:
        approvals: of the subscriber, in no order; those that concern something else count for nothing.
        application: the name of the application.
        legal_basis: what makes the processing lawful.
        purpose: the one purpose.
        scopes: all that are asked for.
        now: the instant for which it is asked.
    """
    if legal_basis not in OBJECTIONABLE:
        return None
    given: Consent | None = None
    for approval in approvals:
        if isinstance(approval, OptOut):
            if approval.concerns(application, purpose):
                return Reason.OPTED_OUT
        elif (approval.application, approval.purpose) == (application, purpose):
            given = approval
    return _fault_of(given, scopes, now) if legal_basis is LegalBasis.CONSENT else None


def _fault_of(consent: Consent | None, scopes: frozenset[str], now: Milliseconds) -> Reason | None:
    if consent is None:
        return Reason.CONSENT_MISSING
    if consent.withdrawn:
        return Reason.CONSENT_WITHDRAWN
    if consent.expires and now >= consent.expires:
        return Reason.CONSENT_EXPIRED
    return None if consent.covers(scopes) else Reason.CONSENT_MISSING


class Approvals(Protocol):
    """Where it is looked up. Subscribers are known by their phone number."""

    def objection(
        self,
        subscriber: Subscriber,
        application: Application,
        purpose: str,
        scopes: frozenset[str],
        now: Milliseconds,
    ) -> Reason | None:
        """Why nothing may be done for this purpose, by all that is on record; None if it may.

        Where the legal basis is consent, one must be given for the purpose and every API scope, and be neither
        withdrawn nor expired. Where it is consent, legitimate interest or public interest, an opt-out counts. For a
        purpose without a legal basis nothing may be done; nor for a number that is not known, where the subscriber
        might have objected.

        Raises:
            StoreUnavailable: that cannot be told.
        """
        ...

    def withdrawal(
        self, phone_number: str, application: Application, purpose: str, since: Milliseconds
    ) -> Reason | None:
        """Why a grant of `since`, at most five minutes ago, is dead: consent withdrawn, or opted out, after it.

        It stays dead when consent is given anew or the subscriber opts in again. Asked at every call: looks into
        memory only, which is kept fresh.

        Raises:
            Refusal: UNAVAILABLE, STALE_REGISTRY: what is in memory is too old to be relied on.
        """
        ...
