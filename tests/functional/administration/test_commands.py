"""What is typed arrives as it is meant, and what comes back is printed: for people, and for scripts."""

import csv
import io
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from google.protobuf import json_format
from typer.testing import CliRunner

from functional.administration.conftest import ObservedAdmin as Admin
from functional.administration.internal import Internal
from number_verification.administration.resources import KINDS
from number_verification.cli import app
from number_verification.gen.audit.v1.audit_pb2 import (
    AuditFinding,
    AuditKind,
    AuditRecord,
    ListAuditRecordsResponse,
    VerifyAuditResponse,
)
from number_verification.gen.consent.v1 import consent_pb2
from number_verification.gen.onboarding.v1.usage_pb2 import QueryUsageResponse, UsageRow

NUMBER = "+990123456789"
BANK, APP = "organizations/first-bank", "organizations/first-bank/applications/banking-app"


def commands(group: Any, *path: str) -> Iterator[list[str]]:
    """The commands below a group."""
    if not hasattr(group, "commands"):
        yield [*path]
        return
    for name in group.list_commands(None):
        yield from commands(group.get_command(None, name), *path, name)


def test_help_on_everything() -> None:
    every = {" ".join(path) for path in commands(typer.main.get_command(app)) if path[0] == "admin"}
    for kind in KINDS.values():
        assert {f"admin {kind.plural} {name}" for name in ("list", "get", "create", "update", *kind.verbs)} <= every
    further = {
        "consent give",
        "audit subscriber",
        "consent opt-in",
        "usage",
        "apply",
        "keys generate",
        "applications keys add",
    }
    assert {f"admin {name}" for name in further} <= every
    for command in every:
        shown = CliRunner().invoke(app, [*command.split(), "--help"])
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert f"Usage: number-verification {command}" in " ".join(shown.stdout.split())


def test_the_life_of_an_application(admin: Admin, internal: Internal) -> None:
    admin.done("organizations", "create", "first-bank", "--kind", "customer", "--display-name", "First Bank")
    created = admin.done(
        *("applications", "create", "first-bank/banking-app", "--jwks", admin.key_set("k1"), "--flow", "ciba"),
        *("--flow", "authorization-code", "--scope", "openid", "--redirect-uri", "https://bank.example/a"),
        *(
            "--purpose",
            "dpv:ServiceProvision=contract",
            "--purpose",
            "dpv:Marketing=consent",
            "--requires-dpop",
            "--json",
        ),
    ).objects[0]
    assert created["name"] == APP
    assert created["flows"] == ["FLOW_CIBA", "FLOW_AUTHORIZATION_CODE"]
    assert created["purposes"] == [
        {"purpose": "dpv:ServiceProvision", "legalBasis": "LEGAL_BASIS_CONTRACT"},
        {"purpose": "dpv:Marketing", "legalBasis": "LEGAL_BASIS_CONSENT"},
    ]
    assert [key["kid"] for key in created["jwks"]["keys"]] == ["k1"]
    assert created["requiresDpop"] is True
    assert created["state"] == "APPLICATION_STATE_REGISTERED"
    for verb, state in (
        ("activate", "active"),
        ("suspend", "suspended"),
        ("reinstate", "active"),
        ("retire", "retired"),
    ):
        lines = [line.split() for line in admin.done("applications", verb, APP).out.splitlines()]
        assert ["state", state] in lines
    methods = [method for method, _ in internal.asked]
    assert methods[-4:] == [f"{verb}Application" for verb in ("Activate", "Suspend", "Reinstate", "Retire")]


def test_an_update_changes_what_is_said(admin: Admin, internal: Internal) -> None:
    admin.done(
        "people", "create", "first-bank/ada", "--display-name", "Ada", "--role", "user", "--certificate-name", "a"
    )
    updated = admin.done(
        *("people", "update", "first-bank/ada", "--role", "administrator", "--role", "business-manager"),
        *("--clear", "certificate-name", "--etag", "1", "--json"),
    ).objects[0]
    assert updated["roles"] == ["ROLE_ADMINISTRATOR", "ROLE_BUSINESS_MANAGER"]
    assert "certificateNames" not in updated
    assert updated["displayName"] == "Ada"
    _, request = internal.asked[-1]
    assert list(request.update_mask.paths) == ["roles", "certificate_names"]
    assert request.person.etag == "1"


def test_plans_are_objects(admin: Admin) -> None:
    plan = {"id": "standard", "rate": 2.5, "burst": 10, "dailyQuota": 1000, "purposes": ["dpv:ServiceProvision"]}
    product = admin.done("products", "create", "number-verification", "--plan", json.dumps(plan), "--json").objects[0]
    assert product["plans"] == [plan]


def test_names_may_be_short(admin: Admin, internal: Internal) -> None:
    admin.done("subscriptions", "create", f"{BANK}/subscriptions/verify", "--product", "number-verification")
    subscription = internal.kept[f"{BANK}/subscriptions/verify"]
    assert subscription.product == "products/number-verification"
    assert admin.done("subscriptions", "get", "first-bank/verify", "--json").objects[0]["name"] == subscription.name
    assert admin.done("subscriptions", "create", "first-bank/-", "--json").objects[0]["name"].endswith("/chosen")


@pytest.mark.parametrize(
    "name", ["", "first-bank", "a/b/c", "products/x/applications/y", "first-bank/UPPER", f"{APP}/"]
)
def test_what_is_no_name_is_not_sent(admin: Admin, internal: Internal, name: str) -> None:
    done = admin("applications", "get", name)
    assert done.code == 2
    assert "no name of applications" in done.err
    assert internal.asked == []


def test_all_pages_are_listed(admin: Admin, internal: Internal) -> None:
    for number in range(230):
        internal.kept[f"organizations/o-{number:03}"] = KINDS["organizations"].message._concrete_class(
            name=f"organizations/o-{number:03}", display_name="x" * 150, kind=1, state=1
        )
    listed = admin.done("organizations", "list", "--json").objects
    assert [each["name"] for each in listed] == sorted(internal.kept)
    assert len(admin.done("organizations", "list", "--json", "--limit", "120").objects) == 120
    lines = admin.done("organizations", "list").out.splitlines()
    assert len(lines) == 231
    assert lines[0].split() == ["name", "kind", "display", "name", "channel", "partner", "state"]
    assert lines[230].split() == ["organizations/o-229", "customer", "x" * 150, "active"]


def test_a_list_may_be_narrowed(admin: Admin, internal: Internal) -> None:
    admin.done("people", "list", "--organization", "first-bank", "--state", "suspended")
    _, request = internal.asked[-1]
    assert (request.parent, request.state) == (BANK, 2)
    admin.done("people", "list")
    assert internal.asked[-1][1].parent == "organizations/-"


def test_what_steers_a_terminal_is_not_printed(admin: Admin, internal: Internal) -> None:
    admin.done("organizations", "create", "first-bank", "--display-name", "a\x1b[31mb\x9bc\nd")
    for command in (["get", "first-bank"], ["list"], ["get", "first-bank", "--json"]):
        out = admin.done("organizations", *command).out
        assert "\x1b" not in out
        assert "\x9b" not in out
    assert "a\\x1b[31mb\\x9bc\\nd" in admin.done("organizations", "get", "first-bank").out


def test_keys_are_rotated(admin: Admin, internal: Internal) -> None:
    admin.done("applications", "create", APP, "--jwks", admin.key_set("old"))
    admin.done("applications", "keys", "add", APP, "--jwks", admin.key_set("new"))
    assert internal.asked[-1][1].application.etag == "1"
    assert [key.kid for key in internal.kept[APP].jwks.keys] == ["old", "new"]
    again = admin("applications", "keys", "add", APP, "--jwks", admin.key_set("new"))
    assert (again.code, "already" in again.err) == (2, True)
    assert [line.split()[0] for line in admin.done("applications", "keys", "show", APP).out.splitlines()[1:]] == [
        "old",
        "new",
    ]
    admin.done("applications", "keys", "remove", APP, "--kid", "old")
    assert admin("applications", "keys", "remove", APP, "--kid", "old").code == 2
    shown = admin.done("applications", "keys", "show", APP, "--json").objects[0]
    assert [key["kid"] for key in shown["keys"]] == ["new"]
    admin.done("applications", "keys", "set", APP, "--jwks", admin.key_set("other"))
    assert [key.kid for key in internal.kept[APP].jwks.keys] == ["other"]


def test_a_private_key_is_never_sent(admin: Admin, internal: Internal) -> None:
    done = admin("applications", "create", APP, "--jwks", admin.key_file)
    assert done.code == 2
    assert "holds a private key" in done.err
    assert internal.asked == []


def test_a_key_is_made(admin: Admin, tmp_path: Path) -> None:
    out, public = tmp_path / "own.json", tmp_path / "public.json"
    printed = admin.bare("keys", "generate", "--out", out)
    private = json.loads(out.read_text())
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert (private["kty"], private["crv"], private["alg"], private["use"]) == ("EC", "P-256", "ES256", "sig")
    [registered] = json.loads(printed.out)["keys"]
    assert registered == {name: value for name, value in private.items() if name != "d"}
    assert private["d"] not in printed.out
    again = admin.bare("keys", "generate", "--out", out)
    assert (again.code, json.loads(out.read_text())) == (2, private)
    admin.bare("keys", "generate", "--out", tmp_path / "second.json", "--public", public)
    admin.done("applications", "create", APP, "--jwks", public)


CONSENT = ("consent", "give", "--application", "first-bank/banking-app", "--purpose", "dpv:Marketing")
GIVE = (*CONSENT, "--scope", "openid", "--evidence", "in the app", "--expire-time", "2027-01-31T00:00:00Z")


@pytest.mark.parametrize("source", ["stdin", "file"])
def test_consent_of_a_number_that_is_no_argument(admin: Admin, internal: Internal, source: str) -> None:
    file = admin.write("number", f"{NUMBER}\n")
    done = admin.script(*GIVE, "--phone-number-file", "-" if source == "stdin" else file, stdin=f"{NUMBER}\n")
    assert (done.code, done.err) == (0, "")
    _, request = internal.asked[-1]
    assert (request.phone_number, request.application) == (NUMBER, APP)
    assert request.expire_time.ToJsonString() == "2027-01-31T00:00:00Z"
    assert NUMBER not in done.out


@pytest.mark.parametrize("content", ["", "990123456789", "+990 123", f"{NUMBER}\n{NUMBER}", "x" * 100_000])
def test_what_is_no_number_is_not_sent(admin: Admin, internal: Internal, content: str) -> None:
    done = admin(*GIVE, "--phone-number-file", "-", stdin=content)
    assert (done.code, done.err) == (2, "that is not a phone number: + and five to fifteen digits, nothing else\n")
    assert internal.asked == []


def test_a_number_is_not_taken_as_an_argument(admin: Admin, internal: Internal) -> None:
    for attempt in ([NUMBER], ["--phone-number", NUMBER], []):
        assert admin(*GIVE, *attempt).code == 2
    assert internal.asked == []


def test_the_other_consent_commands(admin: Admin, internal: Internal) -> None:
    looked_up = consent_pb2.LookUpConsentResponse(refusal_reason="opted_out", opt_outs=[consent_pb2.OptOut()])
    internal.answers["LookUpConsent"] = looked_up
    internal.answers["ListApprovals"] = consent_pb2.ListApprovalsResponse(
        approvals=[consent_pb2.Approval(action=3, current=True)]
    )
    number, of = ("--phone-number-file", "-"), ("--application", APP, "--purpose", "dpv:Marketing")
    out = admin.done("consent", "look-up", *of, "--scope", "openid", *number, stdin=NUMBER).out
    assert "allowed         no\nrefusal reason  opted_out\n" in out
    assert admin.done("consent", "list", *number, "--json", stdin=NUMBER).objects == [
        {"action": "APPROVAL_ACTION_OPTED_OUT", "current": True}
    ]
    for command in ("withdraw", "opt-out", "opt-in"):
        admin.done("consent", command, *of, *number, stdin=NUMBER)
    assert [method for method, _ in internal.asked][-3:] == ["WithdrawConsent", "OptOut", "OptIn"]


def test_the_audit_trail(admin: Admin, internal: Internal) -> None:
    record = AuditRecord(
        kind=AuditKind.AUDIT_KIND_CALL, operation="token", outcome="OK", masked_phone_number="+990***01"
    )
    internal.answers["ListAuditRecords"] = ListAuditRecordsResponse(records=[record])
    listed = admin.done("audit", "list", "--kind", "call", "--start-time", "2026-11-01T00:00:00Z").out
    assert listed.splitlines()[1].split() == ["call", "token", "OK", "+990***01"]
    _, request = internal.asked[-1]
    assert (request.kind, request.start_time.ToJsonString()) == (3, "2026-11-01T00:00:00Z")
    exported = admin.done("audit", "export", "--application", "first-bank/banking-app").objects
    assert exported == [json_format.MessageToDict(record)]
    assert internal.asked[-1][1].application == APP
    admin.done("audit", "subscriber", "--phone-number-file", "-", stdin=NUMBER)
    assert internal.asked[-1][1].phone_number == NUMBER


def test_tampering_is_told_by_the_exit_code(admin: Admin, internal: Internal) -> None:
    findings = [AuditFinding(kind="line_changed", place="a", line=7, is_tampering=True), AuditFinding(kind="torn_tail")]
    internal.answers["VerifyAudit"] = VerifyAuditResponse(record_count=9, findings=findings, tampering_count=1)
    done = admin("audit", "verify")
    assert (done.code, done.err) == (1, "the audit trail was tampered with: 1 findings\n")
    assert "kind line_changed, place a, line 7, is tampering yes\n" in done.out
    internal.answers["VerifyAudit"] = VerifyAuditResponse(record_count=9)
    assert admin.done("audit", "verify", "--json").objects == [{"recordCount": "9"}]


def test_usage_for_billing(admin: Admin, internal: Internal) -> None:
    row = UsageRow(day="2026-11-01", application=APP, customer=BANK, operation="token", outcome="OK", count=7)
    internal.answers["QueryUsage"] = QueryUsageResponse(rows=[row])
    days = ("--first-day", "2026-11-01", "--last-day", "2026-11-30")
    code, out, err = admin.script("usage", *days, "--organization", "first-bank", "--csv")
    assert (code, err) == (0, "")
    assert list(csv.reader(io.StringIO(out))) == [
        ["day", "application", "customer", "channel_partner", "operation", "outcome", "count"],
        ["2026-11-01", APP, BANK, "", "token", "OK", "7"],
    ]
    assert internal.asked[-1][1].parent == BANK
    assert admin.done("usage", *days, "--json").objects[0]["count"] == "7"
    assert admin("usage").code == 2
