from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from number_verification.administration import contract
from number_verification.administration.described import Entry, entries
from number_verification.administration.plan import CREATE, UPDATE, Plan, path, plan
from number_verification.administration.resources import KINDS, VERBS
from number_verification.domain.onboarding.states import TRANSITIONS

BANK = "organizations/first-bank"


def described(**content: Any) -> list[Entry]:
    return entries(content, Path("registry.toml"))


def there(plural: str, /, **content: Any) -> Any:
    message = contract.new(KINDS[plural].message)
    return json_format.ParseDict({"etag": "1", **content}, message)


def actions(planned: Plan) -> list[tuple[str, str]]:
    assert planned.faults == []
    return [(step.action, step.entry.name) for step in planned.steps]


def test_everything_from_nothing_in_the_order_of_dependencies() -> None:
    wished = described(
        organizations=[
            {
                "name": "first-bank",
                "kind": "CUSTOMER",
                "channelPartner": "aggregator",
                "applications": [{"name": "app", "state": "SUSPENDED"}],
                "subscriptions": [{"name": "verify", "product": "verify", "plan": "standard", "state": "ACTIVE"}],
                "people": [{"name": "ada", "roles": ["ADMINISTRATOR"]}],
            },
            {"name": "aggregator", "kind": "CHANNEL_PARTNER", "state": "SUSPENDED"},
        ],
        products=[{"name": "verify", "state": "WITHDRAWN"}],
    )
    assert actions(plan(wished, {})) == [
        (CREATE, "products/verify"),
        (CREATE, "organizations/aggregator"),
        (CREATE, BANK),
        (CREATE, f"{BANK}/people/ada"),
        (CREATE, f"{BANK}/subscriptions/verify"),
        ("activate", f"{BANK}/subscriptions/verify"),
        (CREATE, f"{BANK}/applications/app"),
        ("activate", f"{BANK}/applications/app"),
        ("suspend", f"{BANK}/applications/app"),
        ("suspend", "organizations/aggregator"),
        ("withdraw", "products/verify"),
    ]


def test_only_what_is_named_counts() -> None:
    current = there("organizations", name=BANK, displayName="First Bank", kind=1, state=2)
    assert plan(described(organizations=[{"name": "first-bank"}]), {BANK: current}) == Plan([], [])
    assert (
        plan(described(organizations=[{"name": "first-bank", "displayName": "First Bank"}]), {BANK: current}).steps
        == []
    )


def test_a_change_tells_what_was_and_what_will_be() -> None:
    wished = described(
        organizations=[{"name": "first-bank", "displayName": "New", "kind": "CUSTOMER", "state": "ACTIVE"}]
    )
    current = there("organizations", name=BANK, displayName="Old", kind=1, state=2)
    update, reinstate = plan(wished, {BANK: current}).steps
    assert update.action == UPDATE
    assert update.changes == (("displayName", "Old", "New"),)
    assert reinstate.action == "reinstate"


def test_what_is_named_as_empty_is_emptied() -> None:
    name = f"{BANK}/people/ada"
    wished = described(organizations=[{"name": "first-bank", "people": [{"name": "ada", "certificateNames": []}]}])
    found = {
        BANK: there("organizations", name=BANK, state=1),
        name: there("people", name=name, certificateNames=["a"], state=1),
    }
    [update] = plan(wished, found).steps
    assert update.changes == (("certificateNames", ["a"], []),)


def test_order_and_members_that_are_not_set_make_no_difference() -> None:
    plans = [
        {"id": "small", "rate": 1, "purposes": ["dpv:A", "dpv:B"]},
        {"id": "large", "rate": 0, "displayName": "", "scopes": []},
    ]
    stored = [{"id": "large"}, {"id": "small", "rate": 1.0, "purposes": ["dpv:B", "dpv:A"]}]
    current = there("products", name="products/verify", plans=stored, state=1)
    assert plan(described(products=[{"name": "verify", "plans": plans}]), {"products/verify": current}) == Plan([], [])
    plans[0]["rate"] = 2
    [update] = plan(described(products=[{"name": "verify", "plans": plans}]), {"products/verify": current}).steps
    assert [change.field for change in update.changes] == ["plans"]


def test_no_keys_are_no_keys() -> None:
    name = f"{BANK}/people/ada"
    wished = described(organizations=[{"name": "first-bank", "people": [{"name": "ada", "jwks": {"keys": []}}]}])
    found = {BANK: there("organizations", name=BANK, state=1), name: there("people", name=name, state=1)}
    assert plan(wished, found) == Plan([], [])


@pytest.mark.parametrize(
    ("state", "wish", "fault"),
    [
        (4, {"state": "ACTIVE"}, "is ENDED: it cannot become ACTIVE"),
        (3, {"state": "REQUESTED"}, "is SUSPENDED: it cannot become REQUESTED"),
        (2, {"product": "other"}, "product cannot be changed"),
        (4, {"plan": "large"}, "is ENDED: it cannot be changed any more"),
    ],
)
def test_what_is_impossible_is_told_with_its_place(state: int, wish: dict[str, Any], fault: str) -> None:
    name = f"{BANK}/subscriptions/verify"
    wished = described(organizations=[{"name": "first-bank", "subscriptions": [{"name": "verify", **wish}]}])
    subscription = there("subscriptions", name=name, product="products/verify", plan="standard", state=state)
    planned = plan(wished, {BANK: there("organizations", name=BANK, state=1), name: subscription})
    assert planned.faults == [
        f"organizations[0].subscriptions[0]: {name}{'' if fault.startswith('is') else ':'} {fault}"
    ]


def test_verbs_are_the_transitions_of_the_domain() -> None:
    domain = {
        type(next(iter(states))).__name__: {
            (state.name, following.name) for state, all_following in states.items() for following in all_following
        }
        for states in TRANSITIONS.values()
    }
    for kind in KINDS.values():
        states = {kind.state(value.number) for value in kind.states.values if value.number}
        verbs = kind.verbs.values()
        led = {(source, verb.target) for verb in verbs for source in verb.sources & states}
        assert led == domain[kind.states.name]
    assert {name for kind in KINDS.values() for name in kind.verbs} == set(VERBS)


def test_what_is_withdrawn_can_be_changed() -> None:
    product = there("products", name="products/verify", displayName="Old", state=2)
    [update] = plan(described(products=[{"name": "verify", "displayName": "New"}]), {"products/verify": product}).steps
    assert update.action == UPDATE


def test_every_possible_way_is_found() -> None:
    applications = KINDS["applications"]
    assert path(applications, "REGISTERED", "SUSPENDED") == ["activate", "suspend"]
    assert path(applications, "SUSPENDED", "RETIRED") == ["retire"]
    assert path(applications, "RETIRED", "RETIRED") == []
    assert path(applications, "RETIRED", "ACTIVE") is None
