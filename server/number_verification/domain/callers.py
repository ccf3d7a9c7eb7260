"""From a client certificate or a token to the principal that calls an internal service, as it stands now."""

import hashlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from number_verification.domain.onboarding.principal import Principal, PrincipalClient, Principals
from number_verification.domain.refusal import Kind, Reason, Refusal


@dataclass(frozen=True, slots=True)
class ConfiguredService:
    """A service of the operator that the configuration names, with what it may be known by."""

    client: PrincipalClient
    certificate_names: frozenset[str] = frozenset()
    """Names in its client certificate, any of which identifies it."""
    token_digest: bytes = field(default=b"", repr=False)
    """SHA-256 of its service token; empty where it has none."""


@dataclass(frozen=True, slots=True)
class CallerCheck:
    """Decides who calls an internal service. What the configuration says goes before what the registry says.

    Args:
        services: those of the configuration.
        people: those of the registry.
        identify: the client id that a client-credentials token was issued to; raises Refusal (UNAUTHENTICATED).
    """

    services: Sequence[ConfiguredService]
    people: Principals
    identify: Callable[[str], str]

    def find(self, client_id: str) -> PrincipalClient | None:
        """The principal that may ask for a client-credentials token by this client id; None if there is none.

        Raises:
            Refusal: UNAVAILABLE: that cannot be told.
        """
        for service in self.services:
            if service.client.client_id and service.client.client_id == client_id:
                return service.client
        return self.people.principal(client_id)

    def service_with_certificate(self, names: frozenset[str]) -> PrincipalClient | None:
        """The service of the configuration that a verified client certificate with these names identifies."""
        return next((service.client for service in self.services if names & service.certificate_names), None)

    def person_with_certificate(self, names: frozenset[str]) -> PrincipalClient | None:
        """The person that a verified client certificate with these names identifies; None if it is nobody's.

        Raises:
            Refusal: UNAVAILABLE: that cannot be told.
        """
        return self.people.principal_with_certificate(names) if names else None

    def by_token(self, token: str) -> PrincipalClient:
        """The principal that a service token or a client-credentials token stands for.

        Raises:
            Refusal: UNAUTHENTICATED: nobody; UNAVAILABLE: that cannot be told.
        """
        if token.count(".") == 2:
            found = self.find(self.identify(token))
            if found is not None:
                return found
            # Gone since the token was issued.
            raise Refusal(Kind.UNAUTHENTICATED, Reason.CALLER_UNKNOWN)
        digest = hashlib.sha256(token.encode()).digest()
        for service in self.services:
            if service.token_digest and hmac.compare_digest(service.token_digest, digest):
                return service.client
        raise Refusal(Kind.UNAUTHENTICATED, Reason.CALLER_UNKNOWN)


def authorize(caller: PrincipalClient, roles: frozenset[str]) -> Principal:
    """The principal, once it is known that it may act now and has one of the roles.

    Raises:
        Refusal: PERMISSION_DENIED.
    """
    if caller.objection is not None:
        raise Refusal(Kind.PERMISSION_DENIED, caller.objection)
    if not caller.principal.roles & roles:
        raise Refusal(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING)
    return caller.principal
