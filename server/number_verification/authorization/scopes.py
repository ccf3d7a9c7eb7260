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
    if not scopes <= application.scopes:
        raise _invalid("a scope is not among those agreed for the application")
    return scopes


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_scope", description, Reason.SCOPE_MISSING)
