"""The commands against the real servicer: what it answers is understood, what it refuses is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functional.administration.conftest import ObservedAdmin as Admin
from functional.administration.onboarding import Onboarding, running_onboarding
from unit.client.provider import running_provider

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "registry.toml"
BANK = "organizations/first-bank"
APP = f"{BANK}/applications/banking-app"


OTHER = "https://first-bank.example/other"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Onboarding]:
    with running_onboarding(tmp_path) as running:
        yield running


@pytest.fixture
def admin(tmp_path: Path, service: Onboarding) -> Iterator[Admin]:
    with running_provider() as provider:
        yield Admin(tmp_path, service, provider)


def everything(admin: Admin) -> list[Any]:
    kinds = ("products", "organizations", "people", "subscriptions", "applications")
    return [resource for kind in kinds for resource in admin.done(kind, "list", "--json").objects]


def test_the_example_comes_about_and_then_there_is_nothing_to_do(admin: Admin) -> None:
    assert admin("apply", "-f", EXAMPLE, "--dry-run").code == 4
    assert everything(admin) == []
    done = admin.script("apply", "-f", EXAMPLE, "--json")
    steps = done.objects
    assert (done.code, done.err) == (0, "")
    assert {step["done"] for step in steps} == {True}
    there = everything(admin)
    assert [each["name"] for each in there] == [
        "products/number-verification",
        "organizations/aggregator",
        BANK,
        "organizations/small-shop",
        f"{BANK}/people/ada",
        f"{BANK}/subscriptions/number-verification",
        "organizations/small-shop/subscriptions/number-verification",
        APP,
        "organizations/small-shop/applications/checkout",
    ]
    assert there[-2]["state"] == "APPLICATION_STATE_ACTIVE"
    for options in ([], ["--dry-run"]):
        assert admin.done("apply", "-f", EXAMPLE, *options).out == "nothing to do\n"
    assert everything(admin) == there


def test_a_change_of_the_file_is_what_is_changed(admin: Admin) -> None:
    admin.done("apply", "-f", EXAMPLE)
    before = {each["name"]: each for each in everything(admin)}
    admin.key_set("k1", "k2")
    changed = {
        "organizations": [
            {
                "name": "first-bank",
                "people": [{"name": "ada", "roles": ["USER", "ADMINISTRATOR"], "state": "SUSPENDED"}],
                "subscriptions": [{"name": "number-verification", "plan": "trial", "state": "ENDED"}],
                "applications": [
                    {"name": "banking-app", "jwksUri": "", "jwksFile": "k1-k2.json", "redirectUris": [OTHER]}
                ],
            }
        ]
    }
    file = admin.write("registry.json", changed)
    done = admin("apply", "-f", file)
    assert (done.code, done.out.splitlines()[-1:]) == (0, ["5 done"]), done.err
    after = {each["name"]: each for each in everything(admin)}
    assert {name for name in before if before[name] != after[name]} == {
        f"{BANK}/people/ada",
        f"{BANK}/subscriptions/number-verification",
        APP,
    }
    assert [key["kid"] for key in after[APP]["jwks"]["keys"]] == ["k1", "k2"]
    assert "jwksUri" not in after[APP]
    assert after[APP]["redirectUris"] == [OTHER]
    assert admin.done("apply", "-f", file).out == "nothing to do\n"


def test_a_refusal_on_the_way_is_told_and_can_be_gone_on_from(admin: Admin) -> None:
    people = [{"name": "ada", "roles": ["USER"]}, {"name": "bob", "roles": ["USER"], "displayName": "x" * 201}]
    content = {"organizations": [{"name": "first-bank", "kind": "CUSTOMER", "displayName": "Bank", "people": people}]}
    people[0]["displayName"] = "Ada"
    done = admin("apply", "-f", admin.write("registry.json", content))
    first, *others = done.err.splitlines()
    assert done.code == 1
    assert first.startswith(f"broken off at create {BANK}/people/bob: refused: INVALID_ARGUMENT")
    assert others[0].startswith("  person.displayName: ")
    assert others[1:] == [
        f"  done: create {BANK}",
        f"  done: create {BANK}/people/ada",
        f"  not done: create {BANK}/people/bob",
    ]
    people[1]["displayName"] = "Bob"
    out = admin.done("apply", "-f", admin.write("registry.json", content)).out
    assert out.splitlines()[0] == f"+ create {BANK}/people/bob"


def test_the_life_of_an_application_and_its_keys(admin: Admin) -> None:
    admin.done("apply", "-f", EXAMPLE)
    keys = ("applications", "keys")
    created = admin.done(
        *("applications", "create", "first-bank/second-app", "--display-name", "Second", "--jwks", admin.key_set("k1")),
        *("--flow", "authorization-code", "--redirect-uri", "https://bank.example/a", "--scope", "openid"),
        *("--scope", "number-verification:verify", "--purpose", "dpv:ServiceProvision=contract", "--json"),
    ).objects[0]
    assert created["clientId"]
    name = created["name"]
    for verb, state in (("activate", "ACTIVE"), ("suspend", "SUSPENDED"), ("reinstate", "ACTIVE")):
        answer = admin.done("applications", verb, name, "--json").objects[0]
        assert answer["state"] == f"APPLICATION_STATE_{state}"
    admin.done(*keys, "add", name, "--jwks", admin.key_set("k2"))
    admin.done(*keys, "remove", name, "--kid", "k1")
    assert [key["kid"] for key in admin.done(*keys, "show", name, "--json").objects[0]["keys"]] == ["k2"]
    admin.done("applications", "retire", name)
    again = admin("applications", "activate", name)
    assert (again.code, again.err.startswith("refused: FAILED_PRECONDITION: ")) == (1, True)


def test_somebody_elses_change_is_not_undone(admin: Admin) -> None:
    admin.done("apply", "-f", EXAMPLE)
    etag = admin.done("organizations", "get", "first-bank", "--json").objects[0]["etag"]
    admin.done("organizations", "update", "first-bank", "--display-name", "of somebody else", "--etag", etag)
    for command in (["update", "first-bank", "--display-name", "mine"], ["suspend", "first-bank"]):
        done = admin("organizations", *command, "--etag", etag)
        assert (done.code, done.err.startswith("refused: ABORTED: ")) == (1, True)


def test_what_was_done_though_the_answer_got_lost_is_not_done_twice(admin: Admin, service: Onboarding) -> None:
    create = ("organizations", "create", "first-bank", "--display-name", "First Bank", "--kind", "customer", "--json")
    service.lost |= {"CreateOrganization", "SuspendOrganization", "UpdateOrganization"}
    created = admin.done(*create).objects[0]
    assert created["etag"] == admin.done("organizations", "get", "first-bank", "--json").objects[0]["etag"]
    changed = admin.done("organizations", "update", "first-bank", "--display-name", "New", "--json").objects[0]
    assert int(changed["etag"]) == int(created["etag"]) + 1
    admin.done("organizations", "suspend", "first-bank")
    assert service.lost == set()
    again = admin(*create)
    assert (again.code, again.err.startswith("refused: ALREADY_EXISTS: ")) == (1, True)


def test_bad_input_is_refused_by_the_service_in_lines(admin: Admin) -> None:
    done = admin("organizations", "create", "first-bank", "--display-name", "x\u202ey", "--channel-partner", "nobody")
    assert done.code == 1
    assert "\u202e" not in done.err
    plan = json.dumps({"id": "UPPER", "scopes": [" "]})
    done = admin("products", "create", "verify", "--plan", plan, "--operation", "none")
    assert done.code == 1
    assert len(done.err.splitlines()) == 4, done.err


def test_more_than_a_page_is_listed(admin: Admin) -> None:
    names = [f"customer-{number:03}" for number in range(130)]
    organizations = [{"name": name, "kind": "CUSTOMER", "displayName": "A customer"} for name in names]
    admin.done("apply", "-f", admin.write("registry.json", {"organizations": organizations}))
    listed = admin.done("organizations", "list", "--json").objects
    assert [each["name"] for each in listed] == [f"organizations/{name}" for name in names]
    assert len(admin.done("organizations", "list", "--json", "--limit", "101").objects) == 101
    assert admin.done("organizations", "list", "--state", "suspended", "--json").objects == []


def test_nothing_was_used_yet(admin: Admin) -> None:
    days = ("--first-day", "2026-11-01", "--last-day", "2026-11-30")
    assert admin.done("usage", *days, "--json").out == ""
    assert admin.done("usage", *days, "--csv").out.count("\n") == 1
    backwards = admin("usage", "--first-day", "2026-11-30", "--last-day", "2026-11-01")
    assert (backwards.code, backwards.out, backwards.err.count("\n")) == (1, "", 2)


def test_what_a_subscriber_agreed_to(admin: Admin) -> None:
    admin.done("apply", "-f", EXAMPLE)
    checkout, number = "small-shop/checkout", ("--phone-number-file", "-")
    of = ("--application", checkout, "--purpose", "dpv:FraudPreventionAndDetection")
    scope = ("--scope", "number-verification:verify")

    def consent(*arguments: str) -> list[Any]:
        return admin.done("consent", *arguments, *number, "--json", stdin="+990123456789\n").objects

    assert consent("look-up", *of, *scope) == [{"refusalReason": "consent_missing"}]
    [given] = consent("give", *of, *scope, "--evidence", "in the app")
    assert given["application"] == "organizations/small-shop/applications/checkout"
    [found] = consent("look-up", *of, *scope)
    assert found["allowed"] is True
    consent("withdraw", *of)
    consent("opt-out", *of)
    consent("opt-in", *of)
    actions = [each["action"] for each in consent("list")]
    assert actions == [f"APPROVAL_ACTION_{action}" for action in ("GIVEN", "WITHDRAWN", "OPTED_OUT", "OPTED_IN")]
    assert len(consent("list", "--current-only", "--limit", "1")) == 1
    unknown = admin("consent", "opt-out", "--application", "small-shop/nothing", *number, stdin="+990123456789")
    assert (unknown.code, unknown.err.startswith("refused: NOT_FOUND: ")) == (1, True)
