"""Which scopes may be asked for together (CAMARA Security and Interoperability Profile)."""

from number_verification.authorization.oauth import OAuthError
from number_verification.domain.application import Application
from number_verification.domain.refusal import Reason

OPENID = "openid"
OFFLINE_ACCESS = "offline_access"
PURPOSE_PREFIX = "dpv:"
API_PREFIX = "number-verification:"

SUPPORTED = (
    OPENID,
    "number-verification:verify",
    "number-verification:device-phone-number:read",
)


def purpose_of(scopes: frozenset[str]) -> str:
    """The one purpose among the scopes; empty unless there is exactly one."""
    purposes = [scope for scope in scopes if scope.startswith(PURPOSE_PREFIX)]
    return purposes[0] if len(purposes) == 1 else ""


def requested_scopes(scope: str, application: Application) -> frozenset[str]:
    """The scopes that a request names, checked.

    Raises:
        OAuthError: `invalid_scope`.
    """
    scopes = frozenset(scope.split(" ")) - {""}
    if not any(name.startswith(API_PREFIX) for name in scopes):
        raise _invalid("a number-verification scope is needed")
    if OFFLINE_ACCESS in scopes:
        # Since CAMARA Number Verification PR 226: tokens serve one call and are never refreshed.
        raise _invalid("offline_access cannot be had with number-verification scopes")
    if not purpose_of(scopes):
        raise _invalid("exactly one purpose (a scope that begins with dpv:) is needed")
    objection = objection_to(scopes, application)
    if objection is not None:
        raise _invalid("a scope or the purpose is not among those agreed for the application", objection)
    return scopes


def objection_to(scopes: frozenset[str], application: Application) -> Reason | None:
    """Why an application may not have these scopes, a purpose among them; None if it may."""
    beyond = scopes - application.scopes
    if not beyond:
        return None
    only_purposes = all(scope.startswith(PURPOSE_PREFIX) for scope in beyond)
    return Reason.PURPOSE_NOT_ALLOWED if only_purposes else Reason.SCOPE_MISSING


def _invalid(description: str, reason: Reason = Reason.SCOPE_MISSING) -> OAuthError:
    return OAuthError("invalid_scope", description, reason)
