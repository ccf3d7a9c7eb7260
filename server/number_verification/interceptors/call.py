"""The call being served: what the interceptors tell each other about it."""

from contextvars import ContextVar

import grpc

from number_verification.domain.access import Authenticated
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.refusal import Refusal
from number_verification.origin.attestation import PREFIX as ORIGIN_PREFIX

AUTHORIZATION = "authorization"
CORRELATOR = "x-correlator"


class Call:
    """One call. Lives in `current` from the first interceptor to the last."""

    __slots__ = (
        "authenticated",
        "authorizations",
        "caller",
        "correlator",
        "correlator_is_valid",
        "correlators",
        "method",
        "origin_metadata",
        "phone_number",
        "principal",
        "refusal",
        "resource",
    )

    def __init__(self, method: str, context: grpc.ServicerContext) -> None:
        self.method = method
        self.correlator = ""
        self.correlator_is_valid = True
        self.authorizations: list[str] = []
        self.correlators: list[str] = []
        self.origin_metadata: list[tuple[str, str | bytes]] = []
        self.authenticated: Authenticated | None = None
        """Set by the token interceptor for calls of API consumers."""
        self.principal: Principal | None = None
        """Set by the token interceptor for calls of internal services that may be made."""
        self.resource = ""
        """What a call of an internal service is about: the resource that its request names."""
        self.phone_number = ""
        """Whom it is about, where its request names a subscriber."""
        self.caller = ""
        """Who calls: the client id of an application, or the name of a principal."""
        self.refusal: Refusal | None = None
        """Set by the errors interceptor when the call is refused."""

        # As a dict of single values, the last of two `authorization` values would silently win.
        for key, value in context.invocation_metadata():
            if key == AUTHORIZATION:
                self.authorizations.append(value if isinstance(value, str) else "")
            elif key == CORRELATOR:
                self.correlators.append(value if isinstance(value, str) else "")
            elif key.startswith(ORIGIN_PREFIX):
                self.origin_metadata.append((key, value))


current: ContextVar[Call] = ContextVar("call")
