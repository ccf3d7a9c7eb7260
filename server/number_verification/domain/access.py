"""From an access token to what it allows now."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from number_verification.domain.application import Application, Applications
from number_verification.domain.approval import Approvals
from number_verification.domain.attribution import AttributionPolicy
from number_verification.domain.clock import Clock
from number_verification.domain.grant import AccessGrant, AuthenticationMethod, SessionAnchor
from number_verification.domain.location import SessionDirectory, still_there
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.domain.session import Subscriber


class Authenticated(NamedTuple):
    """A call whose token was good: it is used up now."""

    grant: AccessGrant
    subscriber: Subscriber
    """Whose device it is. The IMSI is empty for grants of external issuers, which vouch for a number only."""
    application: Application | None
    """As it stands now; None for clients that an external issuer onboarded itself."""

    def __repr__(self) -> str:
        return f"Authenticated({self.grant!r}, …)"


class TokenRedeemer(Protocol):
    """Turns an access token into its grant, using it up."""

    def __call__(self, token: str) -> AccessGrant:
        """The grant.

        Raises:
            Refusal: UNAUTHENTICATED for a token that is not good, UNAVAILABLE where that cannot be told.
            StoreUnavailable: where the token cannot be used up.
        """
        ...


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """Decides who a token lets in."""

    redeem: TokenRedeemer
    applications: Applications
    approvals: Approvals
    sessions: SessionDirectory
    policy: AttributionPolicy
    clock: Clock

    def authenticate(self, token: str) -> Authenticated:
        """Use the token up and look at what its grant is founded on, as it is at this instant (design D3, D4).

        Raises:
            Refusal: UNAUTHENTICATED for a bad token or a dead grant; UNAVAILABLE where that cannot be told.
        """
        grant = self.redeem(token)
        subscriber = self.subscriber_at(grant.anchor) if grant.anchor else Subscriber("", grant.phone_number)
        if isinstance(subscriber, Reason):
            raise Refusal(Kind.UNAUTHENTICATED, subscriber)
        application = self.applications.find(grant.client_id)
        if application is not None and not grant.application:
            grant = grant._replace(
                application=application.name,
                customer=application.customer,
                channel_partner=application.channel_partner,
            )
        return Authenticated(grant, subscriber, application)

    def subscriber_at(self, anchor: SessionAnchor) -> Subscriber | Reason:
        """The subscriber of the session that a grant is founded on, or why the session no longer stands for them."""
        now_there = still_there(anchor.address, self.sessions, self.policy, self.clock())
        if isinstance(now_there, Reason):
            return now_there
        if now_there.subscriber != anchor.subscriber or now_there.began(anchor.key) != anchor.began:
            return Reason.OTHER_SUBSCRIBER
        return now_there.subscriber

    def authorize(self, authenticated: Authenticated, scopes: frozenset[str]) -> None:
        """Check that the subscriber still agrees, that the application may be served, and that the scopes are held.

        Both the grant and the application's plan must hold every scope.

        Raises:
            Refusal: UNAUTHENTICATED: the subscriber took back what the grant is founded on; PERMISSION_DENIED;
                UNAVAILABLE where that cannot be told.
        """
        grant, application = authenticated.grant, authenticated.application
        if application is not None:
            self._check_approval(authenticated, application)
        if application is None:
            # An external issuer onboards its own clients; ours are all known.
            if grant.anchor is not None:
                raise Refusal(Kind.PERMISSION_DENIED, Reason.APPLICATION_UNKNOWN)
        elif application.objection is not None:
            raise Refusal(Kind.PERMISSION_DENIED, application.objection)
        elif not scopes <= application.scopes:
            raise Refusal(Kind.PERMISSION_DENIED, Reason.SCOPE_MISSING)
        elif grant.purpose and grant.purpose not in application.legal_bases:
            # Our own grants all name a purpose. An external issuer may have agreed on one without writing it down.
            raise Refusal(Kind.PERMISSION_DENIED, Reason.PURPOSE_NOT_ALLOWED)
        elif grant.anchor is None:
            self._ask_for_approval(authenticated, application, scopes)
        if not scopes <= grant.scopes:
            raise Refusal(Kind.PERMISSION_DENIED, Reason.SCOPE_MISSING)

    def _check_approval(self, authenticated: Authenticated, application: Application) -> None:
        grant, phone_number = authenticated.grant, authenticated.subscriber.phone_number
        if not phone_number:
            return
        # Whether the subscriber agrees was asked when our own grants were authenticated, and again when the token was
        # issued. What was taken back since is in memory.
        agreed_at = grant.authenticated_at if grant.anchor else grant.issued_at
        withdrawn = self.approvals.withdrawal(phone_number, application, grant.purpose, agreed_at)
        if withdrawn is not None:
            raise Refusal(Kind.UNAUTHENTICATED, withdrawn)

    def _ask_for_approval(self, authenticated: Authenticated, application: Application, scopes: frozenset[str]) -> None:
        """Ask what nobody of ours has asked yet, for an application of ours whose token an external issuer gave.

        Where the token names no purpose, the subscriber must agree to all that the application has.
        """
        grant, subscriber = authenticated.grant, authenticated.subscriber
        if not subscriber.phone_number:
            return
        for purpose in [grant.purpose] if grant.purpose else application.legal_bases:
            objection = self.approvals.objection(subscriber, application, purpose, scopes, self.clock())
            if objection is not None:
                raise Refusal(Kind.PERMISSION_DENIED, objection)


def require_mobile_authentication(grant: AccessGrant) -> None:
    """Check that the end user was authenticated by the mobile network or the SIM.

    Raises:
        Refusal: USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK.
    """
    if grant.method not in (AuthenticationMethod.NETWORK, AuthenticationMethod.SIM):
        raise Refusal(Kind.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK, Reason.NOT_MOBILE_AUTHENTICATED)
