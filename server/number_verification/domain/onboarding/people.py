"""Use cases: people."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from number_verification.domain.clock import Milliseconds
from number_verification.domain.onboarding import display_name, reach
from number_verification.domain.onboarding.checks import each, key_violations, name_violations, one_of
from number_verification.domain.onboarding.person import Person, PersonRole, PersonState
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.refusals import blocked, denied, refuse_violations
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import Step, require_changeable, require_etag, require_step
from number_verification.domain.onboarding.storing import added, replaced
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.registry.store import Reading, Writing

OWN_ROLES = frozenset({PersonRole.ADMINISTRATOR})
"""Who looks after the people of their own organization."""


class PersonDraft(NamedTuple):
    """What a caller says of a person."""

    display_name: str = ""
    roles: tuple[PersonRole | None, ...] = ()
    """None for one that is not known."""
    jwks: Mapping[str, Any] = {}
    certificate_names: tuple[str, ...] = ()


CHANGEABLE = frozenset(PersonDraft._fields)

_ROLES = frozenset(PersonRole)


def create(
    writing: Writing,
    principal: Principal,
    rules: Rules,
    parent: str,
    draft: PersonDraft,
    person_id: str,
    now: Milliseconds,
) -> Person:
    """Onboard somebody who acts for an organization. Whoever may do so gives any role in that organization.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, FAILED_PRECONDITION, ALREADY_EXISTS.
    """
    organization = reach.organization(writing, principal, parent)
    reach.require_own_role(principal, organization, OWN_ROLES)
    draft = _normalized(draft)
    refuse_violations(_violations(draft, CHANGEABLE, rules))
    reach.require_open(writing, principal, organization)
    name = f"{parent}/people/{person_id or rules.new_id()}"
    _require_free_names(writing, name, draft)
    empty = Person(name=name, client_id=rules.new_client_id(), display_name="", roles=frozenset())
    return added(writing, _with(empty, draft, CHANGEABLE), now)


def update(
    writing: Writing,
    principal: Principal,
    rules: Rules,
    name: str,
    draft: PersonDraft,
    paths: frozenset[str],
    etag: str,
    now: Milliseconds,
) -> Person:
    """Change the fields of a person that `paths` names, some of `CHANGEABLE`.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT, ABORTED, FAILED_PRECONDITION, ALREADY_EXISTS.
    """
    organization, person = reach.within(writing, principal, Person, name)
    reach.require_own_role(principal, organization, OWN_ROLES)
    require_etag(person, etag)
    draft = _normalized(draft)
    refuse_violations(_violations(draft, paths, rules))
    require_changeable(person.state)
    reach.require_open(writing, principal, organization)
    if "certificate_names" in paths:
        _require_free_names(writing, name, draft)
    changed = _with(person, draft, paths)
    if PersonRole.ADMINISTRATOR not in changed.roles:
        _require_not_last_administrator(writing, principal, person)
    return replaced(writing, changed, now)


def go(writing: Writing, principal: Principal, name: str, step: Step, etag: str, now: Milliseconds) -> Person:
    """Take a person to another state.

    Nobody takes themselves out, and only the operator's staff takes the last active administrator of an organization
    out or their role away: there would be nobody left to make another one.

    Raises:
        Refusal: NOT_FOUND, PERMISSION_DENIED, ABORTED, FAILED_PRECONDITION.
    """
    organization, person = reach.within(writing, principal, Person, name)
    reach.require_own_role(principal, organization, OWN_ROLES)
    if not step.gives and principal.name == person.name:
        raise denied(Reason.OWN_PERSON, "nobody can suspend or remove themselves")
    require_etag(person, etag)
    require_step(person.state, step)
    if step.gives:
        reach.require_open(writing, principal, organization)
    else:
        _require_not_last_administrator(writing, principal, person)
    return replaced(writing, replace(person, state=PersonState(step.target)), now)


def _normalized(draft: PersonDraft) -> PersonDraft:
    return draft._replace(display_name=display_name.normalized(draft.display_name))


def _with(person: Person, draft: PersonDraft, paths: frozenset[str]) -> Person:
    values: dict[str, Any] = {path: getattr(draft, path) for path in paths}
    for path in ("roles", "certificate_names"):
        if path in values:
            values[path] = frozenset(values[path])
    return replace(person, **values)


def _violations(draft: PersonDraft, paths: frozenset[str], rules: Rules) -> Iterator[Violation]:
    checks: Mapping[str, Callable[[], Iterator[Violation]]] = {
        "display_name": lambda: name_violations("person.displayName", draft.display_name),
        "roles": lambda: _role_violations(draft.roles),
        "jwks": lambda: key_violations("person.jwks", draft.jwks, rules.key_fault),
        "certificate_names": lambda: each("person.certificateNames", draft.certificate_names, lambda _: ""),
    }
    for path, check in checks.items():
        if path in paths:
            yield from check()


def _role_violations(roles: tuple[PersonRole | None, ...]) -> Iterator[Violation]:
    if not roles:
        yield Violation("person.roles", "is required")
    yield from each("person.roles", roles, one_of(_ROLES, "is not a role"))


def _require_free_names(reading: Reading, name: str, draft: PersonDraft) -> None:
    """A certificate must identify one person: its names are nobody else's, whatever organization that one is of."""
    wanted = frozenset(draft.certificate_names)
    if not wanted:
        return
    for person in reach.every(reading, Person):
        if person.name != name and person.state is not PersonState.REMOVED and person.certificate_names & wanted:
            taken = Violation("person.certificateNames", "one of them is somebody else's")
            raise Refusal(Kind.ALREADY_EXISTS, Reason.NAME_TAKEN, violations=[taken])


def _require_not_last_administrator(reading: Reading, principal: Principal, person: Person) -> None:
    if principal.is_staff or not _administers(person):
        return
    others = reach.every(reading, Person, parent=person.parent, state=PersonState.ACTIVE)
    if not any(other.name != person.name and _administers(other) for other in others):
        raise blocked(Reason.LAST_ADMINISTRATOR, Violation("", "the last administrator is needed"))


def _administers(person: Person) -> bool:
    return person.state is PersonState.ACTIVE and PersonRole.ADMINISTRATOR in person.roles
