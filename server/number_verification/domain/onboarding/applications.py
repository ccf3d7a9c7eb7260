"""Use cases: applications."""

from dataclasses import replace
from typing import Any

from number_verification.domain.application import Flow
from number_verification.domain.clock import Milliseconds
from number_verification.domain.onboarding import display_name, reach
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.application_checks import (
    ApplicationDraft,
    contradictions,
    missing,
    violations,
)
from number_verification.domain.onboarding.organization import OrganizationKind
from number_verification.domain.onboarding.person import PersonRole
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.product import Product
from number_verification.domain.onboarding.refusals import blocked, denied, refuse_violations
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import Step, require_changeable, require_etag, require_step
from number_verification.domain.onboarding.storing import added, replaced
from number_verification.domain.refusal import Reason, Violation
from number_verification.registry.store import Reading, Writing

OWN_ROLES = frozenset({PersonRole.ADMINISTRATOR})
"""Who looks after the applications of their own organization."""

CHANGEABLE = frozenset(ApplicationDraft._fields)


def create(
    writing: Writing,
    principal: Principal,
    rules: Rules,
    parent: str,
    draft: ApplicationDraft,
    application_id: str,
    now: Milliseconds,
) -> RegisteredApplication:
    """Register an application of a customer. What is still missing may follow before it is activated.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, FAILED_PRECONDITION, ALREADY_EXISTS.
    """
    organization = reach.organization(writing, principal, parent)
    reach.require_own_role(principal, organization, OWN_ROLES)
    draft = _normalized(draft._replace(flows=draft.flows or (Flow.AUTHORIZATION_CODE,)))
    application = _changed(
        writing,
        RegisteredApplication(
            name=f"{parent}/applications/{application_id or rules.new_id()}",
            display_name="",
            client_id=rules.new_client_id(),
        ),
        draft,
        CHANGEABLE,
        rules,
    )
    reach.require_open(writing, principal, organization)
    if organization.kind is not OrganizationKind.CUSTOMER:
        raise blocked(Reason.NOT_A_CUSTOMER, Violation(organization.name, "is not a customer"))
    return added(writing, application, now)


def update(
    writing: Writing,
    principal: Principal,
    rules: Rules,
    name: str,
    draft: ApplicationDraft,
    paths: frozenset[str],
    etag: str,
    now: Milliseconds,
) -> RegisteredApplication:
    """Change the fields of an application that `paths` names, some of `CHANGEABLE`.

    What was activated stays such that it could be activated, and what makes the processing lawful stays what the
    operator's staff saw then: otherwise whoever lacks consent could say that none is needed.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, ABORTED, FAILED_PRECONDITION.
    """
    organization, application = reach.within(writing, principal, RegisteredApplication, name)
    reach.require_own_role(principal, organization, OWN_ROLES)
    require_etag(application, etag)
    changed = _changed(writing, application, _normalized(draft), paths, rules)
    if application.state in (ApplicationState.ACTIVE, ApplicationState.SUSPENDED):
        refuse_violations(missing(changed))
        if not principal.is_staff and not changed.purposes.items() <= application.purposes.items():
            raise denied(
                Reason.ROLE_MISSING, "purposes and legal bases of what was activated are the operator's to change"
            )
    require_changeable(application.state)
    reach.require_open(writing, principal, organization)
    return replaced(writing, changed, now)


def go(
    writing: Writing, principal: Principal, name: str, step: Step, etag: str, now: Milliseconds
) -> RegisteredApplication:
    """Take an application to another state. To be served it must be complete.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, ABORTED, FAILED_PRECONDITION.
    """
    organization, application = reach.within(writing, principal, RegisteredApplication, name)
    reach.require_own_role(principal, organization, OWN_ROLES)
    require_etag(application, etag)
    require_step(application.state, step)
    if step.gives:
        reach.require_open(writing, principal, organization)
        lacking = tuple(missing(application))
        if lacking:
            raise blocked(Reason.NOT_COMPLETE, *lacking)
    return replaced(writing, replace(application, state=ApplicationState(step.target)), now)


def _normalized(draft: ApplicationDraft) -> ApplicationDraft:
    return draft._replace(display_name=display_name.normalized(draft.display_name))


def _changed(
    reading: Reading,
    application: RegisteredApplication,
    draft: ApplicationDraft,
    paths: frozenset[str],
    rules: Rules,
) -> RegisteredApplication:
    values: dict[str, Any] = {path: getattr(draft, path) for path in paths}
    for path in ("redirect_uris", "flows", "scopes"):
        if path in values:
            values[path] = frozenset(values[path])
    if "purposes" in values:
        values["purposes"] = dict(draft.purposes)
    changed = replace(application, **values)
    refuse_violations((*violations(draft, paths, rules, lambda: _catalogue_scopes(reading)), *contradictions(changed)))
    return changed


def _catalogue_scopes(reading: Reading) -> frozenset[str]:
    return frozenset[str]().union(*(product.scopes for product in reach.every(reading, Product)))
