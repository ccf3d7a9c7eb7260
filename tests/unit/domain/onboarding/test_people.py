import warnings

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from number_verification.domain.onboarding import people
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.people import CHANGEABLE, PersonDraft
from number_verification.domain.onboarding.person import Person, PersonRole, PersonState
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.steps import REINSTATE_PERSON, REMOVE_PERSON, SUSPEND_PERSON, Step
from number_verification.domain.refusal import Kind, Reason
from unit.domain.onboarding.memory import MemoryRegistry
from unit.domain.onboarding.world import (
    ADMINISTRATOR,
    AGGREGATOR,
    BANK,
    JWKS,
    KEY,
    NOW,
    PARTNER,
    PARTNER_MANAGER,
    PERSON_DRAFT,
    RULES,
    SHOP,
    STAFF,
    organization,
    refused,
    world,
)

ROLES = tuple(PersonRole)


def create(
    registry: MemoryRegistry,
    principal: Principal = STAFF,
    draft: PersonDraft = PERSON_DRAFT,
    parent: str = BANK,
    person_id: str = "ada",
) -> Person:
    with registry.writing() as writing:
        return people.create(writing, principal, RULES, parent, draft, person_id, NOW)


def update(
    registry: MemoryRegistry, name: str, draft: PersonDraft, *paths: str, principal: Principal = STAFF, etag: str = ""
) -> Person:
    with registry.writing() as writing:
        return people.update(writing, principal, RULES, name, draft, frozenset(paths), etag, NOW)


def go(registry: MemoryRegistry, name: str, step: Step, principal: Principal = STAFF) -> Person:
    with registry.writing() as writing:
        return people.go(writing, principal, name, step, "", NOW)


def test_somebody_is_onboarded() -> None:
    made = create(world())
    assert made.name == f"{BANK}/people/ada"
    assert made.client_id.startswith("client-")
    assert (made.roles, made.jwks, made.certificate_names) == (
        {PersonRole.ADMINISTRATOR},
        JWKS,
        {"ada.bank.example"},
    )


def test_an_administrator_gives_any_role_in_their_own_organization() -> None:
    assert create(world(), ADMINISTRATOR, PersonDraft("Eve", ROLES)).roles == set(ROLES)


def test_a_channel_partner_onboards_people_of_its_customers() -> None:
    for number, principal in enumerate((PARTNER, PARTNER_MANAGER)):
        assert create(world(), principal, PersonDraft("Eve", ROLES), SHOP, f"eve{number}").parent == SHOP


def test_a_business_manager_of_a_channel_partner_makes_nobody_an_administrator_there() -> None:
    with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
        create(world(), PARTNER_MANAGER, PERSON_DRAFT, AGGREGATOR)
    assert create(world(), PARTNER, PERSON_DRAFT, AGGREGATOR).parent == AGGREGATOR


def test_a_person_needs_neither_key_nor_certificate_yet() -> None:
    made = create(world(), draft=PersonDraft("Ada", (PersonRole.USER,)))
    assert (made.jwks, made.certificate_names) == ({}, frozenset())


with warnings.catch_warnings(action="ignore"):
    WEAK = RSAKey.generate_key(1024).as_dict(private=False)
STRONG = RSAKey.generate_key(2048).as_dict(private=False)


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        STRONG,
        {**STRONG, "alg": "PS256"},
        {name: value for name, value in KEY.items() if name not in ("kid", "use", "alg")},
    ],
)
def test_keys_that_clients_sign_with(key: dict[str, str]) -> None:
    assert create(world(), draft=PERSON_DRAFT._replace(jwks={"keys": [key]})).jwks


@pytest.mark.parametrize(
    ("key", "description"),
    [
        (WEAK, "an RSA key that is too short or too long"),
        (OKPKey.generate_key("Ed25519").as_dict(private=False), "no key for ES256, PS256, RS256"),
        (ECKey.generate_key("P-384").as_dict(private=False), "no key for an algorithm that is known"),
        (ECKey.generate_key("P-256").as_dict(private=True), "a private key that is not private any more"),
        ({**KEY, "use": "enc"}, "not a key for signatures"),
        ({**KEY, "alg": "RS256"}, "no key for an algorithm that is known"),
        ({**KEY, "alg": "none"}, "no key for an algorithm that is known"),
        ({**KEY, "x": "AAAA"}, "malformed key"),
        ({"kty": "EC", "crv": "P-256"}, "malformed key"),
        ({"kty": "oct", "k": "c2VjcmV0"}, "a private key that is not private any more"),
        ({"kty": "RSA", "n": "A" * 1400, "e": "AQAB"}, "malformed key"),
        ({}, "malformed key"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_the_reason(key: dict[str, str], description: str) -> None:
    draft = PERSON_DRAFT._replace(jwks={"keys": [KEY, {**key, "kid": "other"}]})
    with pytest.raises(Exception, match="INVALID_ARGUMENT") as caught:
        create(world(), draft=draft)
    (violation,) = caught.value.violations  # type: ignore[attr-defined]
    assert violation == ("person.jwks.keys[1]", f"cannot be used: {description}")


def test_keys_that_cannot_be_told_apart_are_refused() -> None:
    nameless = {name: value for name, value in STRONG.items() if name != "kid"}
    draft = PERSON_DRAFT._replace(jwks={"keys": [KEY, KEY, nameless]})
    with refused(Kind.INVALID_ARGUMENT, None, "person.jwks.keys[1].kid", "person.jwks.keys[2].kid"):
        create(world(), draft=draft)


def test_everything_that_is_wrong_is_said_at_once() -> None:
    draft = PersonDraft("", (PersonRole.USER, None, PersonRole.USER), {"keys": [{"kty": "x"}]}, ("a", "a"))
    with refused(
        Kind.INVALID_ARGUMENT,
        None,
        "person.displayName",
        "person.roles[1]",
        "person.roles[2]",
        "person.jwks.keys[0]",
        "person.certificateNames[1]",
    ):
        create(world(), draft=draft)
    with refused(Kind.INVALID_ARGUMENT, None, "person.roles"):
        create(world(), draft=PersonDraft("Ada"))


def test_nobody_is_known_by_somebody_elses_certificate() -> None:
    registry = world()
    create(registry)
    taken = PersonDraft("Eve", ROLES, {}, ("eve", "ada.bank.example"))
    with refused(Kind.ALREADY_EXISTS, Reason.NAME_TAKEN, "person.certificateNames"):
        create(registry, PARTNER, taken, SHOP, "eve")
    eve = create(registry, PARTNER, taken._replace(certificate_names=("eve",)), SHOP, "eve")
    with refused(Kind.ALREADY_EXISTS, Reason.NAME_TAKEN, "person.certificateNames"):
        update(registry, eve.name, taken, "certificate_names")
    assert update(registry, eve.name, PersonDraft(certificate_names=("eve", "eva")), "certificate_names")


def test_the_names_of_a_removed_person_are_free() -> None:
    registry = world()
    go(registry, create(registry).name, REMOVE_PERSON)
    assert create(registry, person_id="eve").certificate_names


@pytest.mark.parametrize("path", sorted(CHANGEABLE))
def test_only_what_is_named_is_changed(path: str) -> None:
    registry = world()
    before = create(registry)
    draft = PersonDraft("Eve", (PersonRole.USER,), {"keys": [STRONG]}, ("eve",))
    after = update(registry, before.name, draft, path)
    different = {name for name in CHANGEABLE if getattr(before, name) != getattr(after, name)}
    assert different == {path}


def test_no_path_changes_nothing_but_the_revision() -> None:
    registry = world()
    before = create(registry)
    after = update(registry, before.name, PersonDraft())
    assert (after.display_name, after.revision) == (before.display_name, before.revision + 1)


def administrator(registry: MemoryRegistry, person_id: str, state: PersonState = PersonState.ACTIVE) -> Person:
    person = Person(
        name=f"{BANK}/people/{person_id}",
        display_name=person_id,
        roles=frozenset({PersonRole.ADMINISTRATOR}),
        client_id=person_id,
        state=state,
    )
    registry.put(person)
    return person


@pytest.mark.parametrize("step", [SUSPEND_PERSON, REMOVE_PERSON])
def test_nobody_takes_themselves_out(step: Step) -> None:
    registry = world()
    administrator(registry, "somebody")
    administrator(registry, "other")
    with refused(Kind.PERMISSION_DENIED, Reason.OWN_PERSON):
        go(registry, ADMINISTRATOR.name, step, ADMINISTRATOR)


@pytest.mark.parametrize("step", [SUSPEND_PERSON, REMOVE_PERSON])
@pytest.mark.parametrize("other", [None, PersonState.SUSPENDED, PersonState.REMOVED])
def test_the_last_administrator_is_taken_out_by_staff_only(step: Step, other: PersonState | None) -> None:
    registry = world()
    last = administrator(registry, "last")
    if other is not None:
        administrator(registry, "other", other)
    with refused(Kind.FAILED_PRECONDITION, Reason.LAST_ADMINISTRATOR):
        go(registry, last.name, step, ADMINISTRATOR)
    assert go(registry, last.name, step, STAFF).state is step.target


def test_one_of_two_administrators_is_taken_out_by_the_other() -> None:
    registry = world()
    administrator(registry, "somebody")
    assert (
        go(registry, administrator(registry, "other").name, REMOVE_PERSON, ADMINISTRATOR).state is PersonState.REMOVED
    )


def test_the_last_administrator_stays_one() -> None:
    registry = world()
    last = administrator(registry, "somebody")
    draft = PersonDraft(roles=(PersonRole.USER,))
    with refused(Kind.FAILED_PRECONDITION, Reason.LAST_ADMINISTRATOR):
        update(registry, last.name, draft, "roles", principal=ADMINISTRATOR)
    administrator(registry, "other")
    assert update(registry, last.name, draft, "roles", principal=ADMINISTRATOR).roles == {PersonRole.USER}


def test_a_removed_person_stays_as_they_were() -> None:
    registry = world()
    administrator(registry, "gone", PersonState.REMOVED)
    with refused(Kind.FAILED_PRECONDITION, Reason.STATE_NOT_ALLOWED):
        update(registry, f"{BANK}/people/gone", PersonDraft("X"), "display_name")


@pytest.mark.parametrize("state", [OrganizationState.SUSPENDED, OrganizationState.CLOSED])
def test_under_an_organization_that_is_not_active(state: OrganizationState) -> None:
    registry = world()
    administrator(registry, "other")
    suspended = administrator(registry, "suspended", PersonState.SUSPENDED)
    registry.put(organization(BANK, state=state))
    for principal in (STAFF, ADMINISTRATOR):
        if principal == STAFF and state is OrganizationState.SUSPENDED:
            continue
        with refused(Kind.FAILED_PRECONDITION):
            create(registry, principal)
        with refused(Kind.FAILED_PRECONDITION):
            update(registry, suspended.name, PersonDraft("X"), "display_name", principal=principal)
        with refused(Kind.FAILED_PRECONDITION):
            go(registry, suspended.name, REINSTATE_PERSON, principal)
    assert go(registry, suspended.name, REMOVE_PERSON, ADMINISTRATOR).state is PersonState.REMOVED
