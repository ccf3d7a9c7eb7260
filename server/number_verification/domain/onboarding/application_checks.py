"""What an application must be like: each of its fields, and all of them together before it is served."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from number_verification.domain.application import Flow, LegalBasis
from number_verification.domain.onboarding import redirect_uri
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.checks import each, key_violations, name_violations, one_of, purpose_fault
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.purpose import PREFIX as PURPOSE_PREFIX
from number_verification.domain.refusal import Violation

OPENID = "openid"
OFFLINE_ACCESS = "offline_access"

_FLOWS = frozenset(Flow)


class ApplicationDraft(NamedTuple):
    """What a caller says of an application."""

    display_name: str = ""
    jwks: Mapping[str, Any] = {}
    jwks_uri: str = ""
    redirect_uris: tuple[str, ...] = ()
    flows: tuple[Flow | None, ...] = ()
    """None for one that is not known."""
    scopes: tuple[str, ...] = ()
    purposes: tuple[tuple[str, LegalBasis | None], ...] = ()
    """Each with its legal basis; None where it is not said, or not known."""
    requires_signed_request: bool = False
    requires_dpop: bool = False


def violations(
    draft: ApplicationDraft, paths: frozenset[str], rules: Rules, known_scopes: Callable[[], frozenset[str]]
) -> Iterator[Violation]:
    """Every rule that a field which `paths` names breaks.

    Args:
        draft: what the caller says.
        paths: the fields that count.
        rules: what they are held to.
        known_scopes: the scopes of all products of the catalogue.
    """
    checks: Mapping[str, Callable[[], Iterator[Violation]]] = {
        "display_name": lambda: name_violations("application.displayName", draft.display_name),
        "jwks": lambda: key_violations("application.jwks", draft.jwks, rules.key_fault),
        "jwks_uri": lambda: _uri_violations(draft.jwks_uri, rules),
        "redirect_uris": lambda: each("application.redirectUris", draft.redirect_uris, redirect_uri.fault),
        "flows": lambda: _flow_violations(draft.flows),
        "scopes": lambda: each("application.scopes", draft.scopes, _scope_fault(known_scopes())),
        "purposes": lambda: _purpose_violations(draft.purposes),
    }
    for path, check in checks.items():
        if path in paths:
            yield from check()


def _uri_violations(uri: str, rules: Rules) -> Iterator[Violation]:
    fault = rules.uri_fault(uri) if uri else ""
    if fault:
        yield Violation("application.jwksUri", fault)


def _flow_violations(flows: tuple[Flow | None, ...]) -> Iterator[Violation]:
    if not flows:
        yield Violation("application.flows", "is required")
    yield from each("application.flows", flows, one_of(_FLOWS, "is not a flow"))


def _scope_fault(known: frozenset[str]) -> Callable[[str], str]:
    def fault(scope: str) -> str:
        if scope == OFFLINE_ACCESS:
            # CAMARA Number Verification PR 226: a token serves one call.
            return "offline_access cannot be had: tokens are never refreshed"
        if scope.startswith(PURPOSE_PREFIX):
            return "is a purpose: it belongs to purposes, with its legal basis"
        return "" if scope == OPENID or scope in known else "is not a scope of a product of the catalogue"

    return fault


def _purpose_violations(purposes: tuple[tuple[str, LegalBasis | None], ...]) -> Iterator[Violation]:
    for violation in each("application.purposes", [purpose for purpose, _ in purposes], purpose_fault):
        yield violation._replace(field=f"{violation.field}.purpose")
    for index, (_, basis) in enumerate(purposes):
        if basis is None:
            yield Violation(f"application.purposes[{index}].legalBasis", "is required")


def contradictions(application: RegisteredApplication) -> Iterator[Violation]:
    """What cannot be together, whatever the state."""
    if application.jwks and application.jwks_uri:
        yield Violation("application.jwksUri", "cannot be beside jwks")


def missing(application: RegisteredApplication) -> Iterator[Violation]:
    """What must be there before an application is served: without it nobody could ever get a token."""
    if not application.jwks and not application.jwks_uri:
        yield Violation("application.jwks", "is required, or jwksUri")
    if Flow.AUTHORIZATION_CODE in application.flows and not application.redirect_uris:
        yield Violation("application.redirectUris", "is required for the authorization code flow")
    if not application.scopes - {OPENID}:
        yield Violation("application.scopes", "needs a scope of a product")
    if not application.purposes:
        yield Violation("application.purposes", "is required")
