"""`admin apply`: what is described comes about, once, and nothing else is touched."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from functional.administration.conftest import ObservedAdmin as Admin
from functional.administration.internal import Internal
from number_verification.gen.onboarding.v1.applications_pb2 import GetApplicationResponse

BANK = "organizations/first-bank"


def calls(internal: Internal) -> list[str]:
    return [method for method, _ in internal.asked if not method.startswith("Get")]


@pytest.fixture
def bank(admin: Admin) -> Admin:
    admin.done("organizations", "create", "first-bank", "--kind", "customer", "--display-name", "First Bank")
    admin.done(
        "applications", "create", "first-bank/app", "--jwks", admin.key_set("k1"), "--scope", "a", "--scope", "b"
    )
    admin.done("applications", "create", "first-bank/other")
    admin.internal.asked.clear()
    return admin


def described(admin: Admin, **application: Any) -> Path:
    applications = [{"name": "app", **application}]
    return admin.write("registry.json", {"organizations": [{"name": "first-bank", "applications": applications}]})


def test_only_what_differs_is_changed(bank: Admin, internal: Internal) -> None:
    bank.key_set("k2")
    file = described(bank, scopes=["b", "a"], displayName="New", jwksFile="k2.json", state="ACTIVE")
    out = bank.done("apply", "-f", file).out
    assert out == (
        f"~ update {BANK}/applications/app\n"
        '    displayName: "" -> "New"\n'
        "    jwks: keys k1 -> keys k2\n"
        f"> activate {BANK}/applications/app\n"
        "2 done\n"
    )
    assert calls(internal) == ["UpdateApplication", "ActivateApplication"]
    (_, update), (_, activate) = [each for each in internal.asked if not each[0].startswith("Get")]
    assert sorted(update.update_mask.paths) == ["display_name", "jwks"]
    assert (update.application.etag, activate.etag) == ("1", "2")
    assert internal.kept[f"{BANK}/applications/other"].etag == "1"


def test_steps_for_scripts(bank: Admin) -> None:
    file = described(bank, requiresDpop=True, state="ACTIVE")
    for option, code, done in (("--dry-run", 4, False), ("--json", 0, True)):
        steps = bank("apply", "-f", file, "--json", option)
        assert steps.code == code
        assert steps.objects == [
            {
                "action": "update",
                "name": f"{BANK}/applications/app",
                "changes": {"requiresDpop": {"before": False, "after": True}},
                "done": done,
            },
            {"action": "activate", "name": f"{BANK}/applications/app", "changes": {}, "done": done},
        ]


def test_what_is_impossible_is_told_before_anything_is_changed(bank: Admin, internal: Internal) -> None:
    bank.done("applications", "retire", "first-bank/other")
    internal.asked.clear()
    applications = [{"name": "app", "displayName": "New"}, {"name": "other", "state": "ACTIVE"}]
    content = {"organizations": [{"name": "first-bank", "kind": "CHANNEL_PARTNER", "applications": applications}]}
    done = bank("apply", "-f", bank.write("registry.json", content))
    assert (done.code, done.out) == (2, "")
    assert done.err.splitlines() == [
        "nothing was changed: not all of it is possible",
        f"  organizations[0]: {BANK}: kind cannot be changed",
        f"  organizations[0].applications[1]: {BANK}/applications/other is RETIRED: it cannot become ACTIVE",
    ]
    assert calls(internal) == []


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_it_stops_at_the_first_refusal(bank: Admin, internal: Internal, options: list[str]) -> None:
    internal.failures["ActivateApplication"] = [grpc.StatusCode.ABORTED]
    content = {
        "organizations": [
            {"name": "first-bank", "applications": [{"name": "app", "displayName": "New", "state": "ACTIVE"}]},
            {"name": "second-bank", "kind": "CUSTOMER"},
        ]
    }
    done = bank("apply", "-f", bank.write("registry.json", content), *options)
    assert done.code == 1
    first, *others = done.err.splitlines()
    assert first.startswith(f"broken off at activate {BANK}/applications/app: refused: ABORTED: as the test wants")
    assert others == [
        f"  done: update {BANK}/applications/app",
        f"  not done: activate {BANK}/applications/app",
        "  not done: create organizations/second-bank",
    ]
    assert "organizations/second-bank" not in internal.kept
    if options:
        assert [step["done"] for step in done.objects] == [True, False, False]


def test_a_change_meanwhile_is_not_undone(bank: Admin, internal: Internal) -> None:
    stale = type(internal.kept[f"{BANK}/applications/app"])()
    stale.CopyFrom(internal.kept[f"{BANK}/applications/app"])
    bank.done("applications", "update", "first-bank/app", "--display-name", "of somebody else")
    # What is read is the state of before; the change of somebody else comes between reading and writing.
    internal.answers["GetApplication"] = GetApplicationResponse(application=stale)
    done = bank("apply", "-f", described(bank, displayName="New"))
    assert done.code == 1
    assert "ABORTED" in done.err
    assert internal.kept[f"{BANK}/applications/app"].display_name == "of somebody else"


@pytest.mark.parametrize("status", [grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAVAILABLE])
def test_what_cannot_be_read_is_not_taken_for_absent(bank: Admin, internal: Internal, status: grpc.StatusCode) -> None:
    internal.failures["GetOrganization"] = [status] * 9
    assert bank("apply", "-f", described(bank)).code == (1 if status is grpc.StatusCode.PERMISSION_DENIED else 3)
    assert calls(internal) == []


def test_a_file_that_is_wrong_is_told_in_lines(admin: Admin, internal: Internal) -> None:
    file = admin.write("registry.toml", '[[products]]\nname = "verify"\ncolour = "red"\n[[products.plans]]\nid = 5\n')
    done = admin("apply", "-f", file)
    first, *others = done.err.splitlines()
    assert (done.code, first) == (2, f"{file} is not right")
    assert others[0] == "  products[0].colour: unknown key"
    assert others[1].startswith("  products[0].plans: ")
    assert admin("apply", "-f", admin.directory / "none.toml").code == 2
    assert admin("apply").code == 2
    assert internal.asked == []
