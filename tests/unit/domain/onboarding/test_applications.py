from typing import Any

import pytest

from number_verification.domain.application import Flow, LegalBasis
from number_verification.domain.onboarding import applications
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.application_checks import ApplicationDraft
from number_verification.domain.onboarding.applications import CHANGEABLE
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.steps import (
    ACTIVATE_APPLICATION,
    REINSTATE_APPLICATION,
    RETIRE_APPLICATION,
    SUSPEND_APPLICATION,
    Step,
)
from number_verification.domain.refusal import Kind, Reason
from unit.domain.onboarding.memory import MemoryRegistry
from unit.domain.onboarding.world import (
    ADMINISTRATOR,
    AGGREGATOR,
    APPLICATION_DRAFT,
    BANK,
    FRAUD,
    JWKS,
    MANAGER,
    NOW,
    PARTNER,
    PARTNER_MANAGER,
    RIVAL_SHOP,
    RULES,
    SHOP,
    STAFF,
    VERIFY_SCOPE,
    organization,
    refused,
    world,
)

NAME = f"{BANK}/applications/app"
BARE = ApplicationDraft(display_name="Bare")
DIFFERENT = ApplicationDraft(
    "Other",
    {"keys": [{**JWKS["keys"][0], "kid": "other"}]},
    "",
    ("https://other.example/",),
    (Flow.CIBA,),
    (VERIFY_SCOPE,),
    (("dpv:Marketing", LegalBasis.CONSENT),),
    True,
    True,
)


def create(
    registry: MemoryRegistry,
    draft: ApplicationDraft = APPLICATION_DRAFT,
    principal: Principal = ADMINISTRATOR,
    parent: str = BANK,
) -> RegisteredApplication:
    with registry.writing() as writing:
        return applications.create(writing, principal, RULES, parent, draft, "app", NOW)


def update(
    registry: MemoryRegistry, draft: ApplicationDraft, *paths: str, principal: Principal = ADMINISTRATOR, etag: str = ""
) -> RegisteredApplication:
    with registry.writing() as writing:
        return applications.update(writing, principal, RULES, NAME, draft, frozenset(paths), etag, NOW)


def go(registry: MemoryRegistry, step: Step, principal: Principal = STAFF) -> RegisteredApplication:
    with registry.writing() as writing:
        return applications.go(writing, principal, NAME, step, "", NOW)


def test_an_administrator_registers_an_application() -> None:
    made = create(world())
    assert (made.name, made.state) == (NAME, ApplicationState.REGISTERED)
    assert made.client_id.startswith("client-")
    assert made.purposes == {FRAUD: LegalBasis.LEGITIMATE_INTEREST}
    assert made.scopes == {"openid", VERIFY_SCOPE}
    assert made.redirect_uris == {"https://bank.example/callback"}


def test_a_channel_partner_registers_applications_of_its_customers_only() -> None:
    for principal in (PARTNER, PARTNER_MANAGER):
        assert create(world(), principal=principal, parent=SHOP).parent == SHOP
        with refused(Kind.NOT_FOUND, Reason.OUT_OF_REACH):
            create(world(), principal=principal, parent=RIVAL_SHOP)


def test_an_application_belongs_to_a_customer() -> None:
    with refused(Kind.FAILED_PRECONDITION, Reason.NOT_A_CUSTOMER, AGGREGATOR):
        create(world(), principal=PARTNER, parent=AGGREGATOR)


def test_a_business_manager_registers_nothing() -> None:
    with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
        create(world(), principal=MANAGER)


def test_what_is_missing_may_follow() -> None:
    made = create(world(), BARE)
    assert made.flows == {Flow.AUTHORIZATION_CODE}
    assert (made.jwks, made.jwks_uri, made.redirect_uris, made.scopes, made.purposes) == ({}, "", set(), set(), {})


def with_(**changes: Any) -> ApplicationDraft:
    return APPLICATION_DRAFT._replace(**changes)


GROUNDS = (FRAUD, LegalBasis.CONTRACT)


@pytest.mark.parametrize(
    ("draft", "fields"),
    [
        (with_(display_name="\u202eknab"), ["displayName"]),
        (with_(jwks={"keys": [{"kty": "EC"}]}), ["jwks.keys[0]"]),
        (with_(jwks_uri="https://bank.example/jwks"), ["jwksUri"]),
        (with_(redirect_uris=("https://a.example/*", "https://a.example/")), ["redirectUris[0]"]),
        (with_(redirect_uris=("https://a.example/", "https://a.example/")), ["redirectUris[1]"]),
        (with_(flows=(None, Flow.CIBA, Flow.CIBA)), ["flows[0]", "flows[2]"]),
        (with_(scopes=("offline_access", "number-verification:other", FRAUD)), ["scopes[0]", "scopes[1]", "scopes[2]"]),
        (with_(scopes=("openid", "openid")), ["scopes[1]"]),
        (with_(purposes=(("dpv:Whatever", LegalBasis.CONSENT),)), ["purposes[0].purpose"]),
        (with_(purposes=((FRAUD, None),)), ["purposes[0].legalBasis"]),
        (with_(purposes=(GROUNDS, GROUNDS)), ["purposes[1].purpose"]),
        (with_(purposes=(GROUNDS, (FRAUD, LegalBasis.CONSENT))), ["purposes[1].purpose"]),
        (ApplicationDraft(flows=(None,), scopes=("x",)), ["displayName", "flows[0]", "scopes[0]"]),
    ],
)
def test_what_is_wrong_is_said_all_at_once(draft: ApplicationDraft, fields: list[str]) -> None:
    with refused(Kind.INVALID_ARGUMENT, None, *(f"application.{field}" for field in fields)):
        create(world(), draft)


@pytest.mark.parametrize(
    "uri",
    [
        "http://bank.example/jwks",
        "http://127.0.0.1/jwks",
        "https://user@bank.example/jwks",
        "https://bank.example/jwks#x",
        "https://bank.example:99999/jwks",
        "https://[::1/jwks",
        "ftp://bank.example/jwks",
        "bank.example/jwks",
        "https://bank.example/\n",
    ],
)
def test_keys_are_fetched_by_https(uri: str) -> None:
    with refused(Kind.INVALID_ARGUMENT, None, "application.jwksUri"):
        create(world(), with_(jwks={}, jwks_uri=uri))
    assert create(world(), with_(jwks={}, jwks_uri="https://bank.example/jwks")).jwks_uri


def test_no_violation_repeats_what_was_sent() -> None:
    secret = "sEcReT"
    draft = ApplicationDraft(
        display_name=f"\x00{secret}",
        jwks={"keys": [{"kty": secret, "kid": secret, "d": secret}]},
        jwks_uri=f"http://{secret}",
        redirect_uris=(f"http://{secret}", f"{secret}#"),
        scopes=(secret,),
        purposes=((secret, None),),
    )
    with pytest.raises(Exception, match="INVALID_ARGUMENT") as caught:
        create(world(), draft)
    assert secret not in str(caught.value.violations)  # type: ignore[attr-defined]
    assert len(caught.value.violations) >= 7  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted(CHANGEABLE - {"jwks_uri"}))
def test_only_what_is_named_is_changed(path: str) -> None:
    registry = world()
    before = create(registry)
    after = update(registry, DIFFERENT, path)
    different = {name for name in CHANGEABLE if getattr(before, name) != getattr(after, name)}
    assert different == {path}


def test_keys_move_to_an_address_if_both_are_named() -> None:
    registry = world()
    create(registry)
    there = ApplicationDraft(jwks_uri="https://bank.example/jwks")
    with refused(Kind.INVALID_ARGUMENT, None, "application.jwksUri"):
        update(registry, there, "jwks_uri")
    after = update(registry, there, "jwks", "jwks_uri")
    assert (after.jwks, after.jwks_uri) == ({}, there.jwks_uri)


def test_what_was_allowed_once_does_not_keep_other_fields_from_being_changed() -> None:
    registry = world()
    registry.put(
        RegisteredApplication(name=NAME, display_name="App", client_id="a", scopes=frozenset({"gone:from:catalogue"}))
    )
    assert update(registry, DIFFERENT, "display_name").display_name == "Other"


MISSING = {
    "jwks": (with_(jwks={}), "application.jwks"),
    "redirect_uris": (with_(redirect_uris=()), "application.redirectUris"),
    "scopes": (with_(scopes=("openid",)), "application.scopes"),
    "purposes": (with_(purposes=()), "application.purposes"),
}


@pytest.mark.parametrize("path", MISSING)
def test_what_lacks_something_is_not_activated(path: str) -> None:
    draft, field = MISSING[path]
    registry = world()
    create(registry, draft)
    with refused(Kind.FAILED_PRECONDITION, Reason.NOT_COMPLETE, field):
        go(registry, ACTIVATE_APPLICATION)
    update(registry, APPLICATION_DRAFT, path)
    assert go(registry, ACTIVATE_APPLICATION).state is ApplicationState.ACTIVE


def test_everything_that_is_missing_is_said_at_once() -> None:
    registry = world()
    create(registry, BARE)
    with refused(Kind.FAILED_PRECONDITION, Reason.NOT_COMPLETE, *(field for _, field in MISSING.values())):
        go(registry, ACTIVATE_APPLICATION)


def test_other_flows_need_no_redirect_uri() -> None:
    registry = world()
    create(registry, with_(redirect_uris=(), flows=(Flow.CIBA, Flow.JWT_BEARER)))
    assert go(registry, ACTIVATE_APPLICATION).state is ApplicationState.ACTIVE


@pytest.mark.parametrize("path", MISSING)
@pytest.mark.parametrize("suspended", [False, True])
def test_what_was_activated_stays_complete(path: str, suspended: bool) -> None:
    draft, field = MISSING[path]
    registry = world()
    create(registry)
    go(registry, ACTIVATE_APPLICATION)
    if suspended:
        go(registry, SUSPEND_APPLICATION)
    with refused(Kind.INVALID_ARGUMENT, None, field):
        update(registry, draft, path)


AGREED = (FRAUD, LegalBasis.LEGITIMATE_INTEREST)
"""As in APPLICATION_DRAFT."""


@pytest.mark.parametrize(
    "grounds",
    [(GROUNDS,), (AGREED, ("dpv:Marketing", LegalBasis.CONSENT))],
    ids=["basis", "purpose"],
)
@pytest.mark.parametrize("principal", [ADMINISTRATOR, PARTNER], ids=["administrator", "channel-partner"])
@pytest.mark.parametrize("suspended", [False, True])
def test_grounds_that_were_activated_are_the_operators_to_change(
    grounds: tuple[tuple[str, LegalBasis], ...], principal: Principal, suspended: bool
) -> None:
    """Or whoever is not given consent could say from then on that none is needed."""
    registry = world()
    registry.put(organization(BANK, channel_partner=AGGREGATOR))
    create(registry)
    update(registry, with_(purposes=grounds), "purposes", principal=principal)
    update(registry, APPLICATION_DRAFT, "purposes", principal=principal)
    go(registry, ACTIVATE_APPLICATION)
    if suspended:
        go(registry, SUSPEND_APPLICATION)
    with refused(Kind.PERMISSION_DENIED, Reason.ROLE_MISSING):
        update(registry, with_(purposes=grounds), *CHANGEABLE - {"jwks_uri"}, principal=principal)
    assert update(registry, APPLICATION_DRAFT, "purposes", principal=principal).purposes == dict([AGREED])
    assert update(registry, with_(purposes=grounds), "purposes", principal=STAFF).purposes == dict(grounds)


def test_what_an_activated_application_needs_no_more_its_administrator_takes_away() -> None:
    registry = world()
    create(registry, with_(purposes=(AGREED, ("dpv:Marketing", LegalBasis.CONSENT))))
    go(registry, ACTIVATE_APPLICATION)
    assert update(registry, APPLICATION_DRAFT, "purposes").purposes == dict([AGREED])


def test_of_two_administrators_one_changes_what_both_read() -> None:
    registry = world()
    create(registry)
    update(registry, DIFFERENT, "display_name", etag="1")
    with refused(Kind.ABORTED, Reason.STALE_ETAG, "etag"):
        update(registry, DIFFERENT, "scopes", etag="1")


def test_a_retired_application_stays_as_it_was() -> None:
    registry = world()
    create(registry)
    go(registry, RETIRE_APPLICATION, ADMINISTRATOR)
    with refused(Kind.FAILED_PRECONDITION, Reason.STATE_NOT_ALLOWED):
        update(registry, DIFFERENT, "display_name")


@pytest.mark.parametrize("state", [OrganizationState.SUSPENDED, OrganizationState.CLOSED])
def test_under_an_organization_that_is_not_active(state: OrganizationState) -> None:
    registry = world()
    create(registry)
    go(registry, ACTIVATE_APPLICATION)
    go(registry, SUSPEND_APPLICATION)
    registry.put(organization(BANK, state=state))
    for principal in (ADMINISTRATOR, STAFF):
        if principal == STAFF and state is OrganizationState.SUSPENDED:
            continue
        with refused(Kind.FAILED_PRECONDITION):
            create(registry, principal=principal)
        with refused(Kind.FAILED_PRECONDITION):
            update(registry, DIFFERENT, "display_name", principal=principal)
        with refused(Kind.FAILED_PRECONDITION):
            go(registry, REINSTATE_APPLICATION, principal)
    assert go(registry, RETIRE_APPLICATION, ADMINISTRATOR).state is ApplicationState.RETIRED
