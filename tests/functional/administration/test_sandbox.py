"""The console script against a running sandbox: every group once, from an empty registry to the bill."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from functional.administration.conftest import Admin
from functional.authorization import OAuthClient
from functional.load import wait_until
from functional.sandbox import running_sandbox
from functional.service import PURPOSE, READ_SCOPE, VERIFY_SCOPE, Service
from functional.serving import REDIRECT_URI, key_pair, public
from functional.transports import Rest

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "registry.toml"
NUMBER = "+990100000001"
SERVICE = "/numberverification.v2.NumberVerificationService"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Service]:
    with running_sandbox(tmp_path / "sandbox", ["--empty-registry"]) as started:
        yield started


@pytest.fixture
def admin(tmp_path: Path, sandbox: Service) -> Admin:
    return Admin(
        tmp_path, sandbox.description["internal"]["private_jwk"], ["--sandbox", str(sandbox.data_dir / "sandbox.json")]
    )


def test_every_group(admin: Admin, sandbox: Service) -> None:
    methods = [f"--operation={SERVICE}/{method}" for method in ("VerifyPhoneNumber", "GetDevicePhoneNumber")]
    plan = json.dumps({"id": "standard", "displayName": "Standard", "dailyQuota": 100})
    product = ("--display-name", "NV", *methods, "--purpose", PURPOSE, "--plan", plan)
    admin.done("products", "create", "product", *product)
    admin.done("organizations", "create", "aggregator", "--kind", "channel-partner", "--display-name", "An aggregator")
    admin.done(
        *("organizations", "create", "shop", "--kind", "customer", "--display-name", "A shop"),
        *("--channel-partner", "aggregator"),
    )
    ada = ("--display-name", "Ada", "--role", "administrator", "--jwks", admin.key_set("a"))
    admin.done("people", "create", "shop/ada", *ada)
    admin.done("subscriptions", "create", "shop/product", "--product", "product", "--plan", "standard")
    admin.done("subscriptions", "activate", "shop/product")
    key = key_pair()
    registered = admin.done(
        *("applications", "create", "shop/checkout", "--display-name", "Checkout"),
        *("--jwks", admin.write("checkout.json", public(key)), "--redirect-uri", REDIRECT_URI),
        *("--flow", "authorization-code", "--scope", "openid", "--scope", VERIFY_SCOPE, "--scope", READ_SCOPE),
        *("--purpose", f"{PURPOSE}=consent", "--json"),
    ).objects[0]
    admin.done("applications", "activate", "shop/checkout")
    client = OAuthClient(
        sandbox,
        registered={"client_id": registered["clientId"], "private_jwk": key, "redirect_uri": REDIRECT_URI},
    )
    wait_until(lambda: client.authorize().status == 302 and client.callback()["error"] == "consent_required", 5)
    said = ("--application", "shop/checkout", "--purpose", PURPOSE)
    admin.done(
        *("consent", "give", *said, "--scope", VERIFY_SCOPE, "--scope", READ_SCOPE, "--evidence", "agreed in a test"),
        *("--phone-number-file", "-"),
        stdin=NUMBER,
    )
    assert Rest(sandbox).share(client.token()).body == {"devicePhoneNumber": NUMBER}

    looked_up = ("consent", "look-up", *said, "--scope", VERIFY_SCOPE, "--phone-number-file", "-", "--json")
    assert admin.done(*looked_up, stdin=NUMBER).objects[0]["allowed"] is True
    admin.done("consent", "opt-out", *said, "--phone-number-file", "-", stdin=NUMBER)
    assert admin.done(*looked_up, stdin=NUMBER).objects[0]["refusalReason"] == "opted_out"
    admin.done("consent", "opt-in", *said, "--phone-number-file", "-", stdin=NUMBER)
    admin.done("consent", "withdraw", *said, "--phone-number-file", "-", stdin=NUMBER)
    listed = admin.done("consent", "list", "--phone-number-file", "-", "--json", stdin=NUMBER).objects
    actions = [f"APPROVAL_ACTION_{each}" for each in ("GIVEN", "OPTED_OUT", "OPTED_IN", "WITHDRAWN")]
    assert [each["action"] for each in listed] == actions
    assert client.callback()["error"] == "consent_required"

    for verb, code in (("suspend", 0), ("suspend", 1), ("reinstate", 0), ("retire", 0), ("activate", 1)):
        assert admin("applications", verb, "shop/checkout").code == code
    admin.done("people", "suspend", "shop/ada")
    admin.done("subscriptions", "end", "shop/product")
    admin.done("organizations", "suspend", "shop")
    for kind, state in (("people", "SUSPENDED"), ("subscriptions", "ENDED"), ("applications", "RETIRED")):
        assert admin.done(kind, "list", "--json").objects[-1]["state"].endswith(f"_{state}")

    today = datetime.datetime.now(datetime.UTC).date()
    days = ("--first-day", str(today - datetime.timedelta(1)), "--last-day", str(today), "--organization", "shop")
    whose = f"{registered['name']},organizations/shop,organizations/aggregator"
    bill = f"{whose},{SERVICE}/GetDevicePhoneNumber,OK,1"
    wait_until(lambda: bill in admin.done("usage", *days, "--csv").out, 5)
    heading, *rows = admin.done("usage", *days, "--csv").out.splitlines()
    assert heading == "day,application,customer,channel_partner,operation,outcome,count"
    assert all(f",{whose}," in row for row in rows)

    found = admin.done("audit", "subscriber", "--phone-number-file", "-", "--json", stdin=NUMBER).objects
    served = [each for each in found if "clientId" in each]
    assert {each["channelPartner"] for each in served} == {"organizations/aggregator"}
    assert [each["kind"] for each in served if each["outcome"] == "OK"] == [
        f"AUDIT_KIND_{kind}" for kind in ("AUTHORIZATION", "TOKEN", "CALL")
    ]
    operations = [each["operation"] for each in admin.done("audit", "export").objects]
    assert "/consent.v1.ConsentService/WithdrawConsent" in operations
    assert "/onboarding.v1.OnboardingService/RetireApplication" in operations
    assert "tamperingCount" not in admin.done("audit", "verify", "--json").objects[0]


def test_the_example_twice(admin: Admin) -> None:
    assert admin.script("apply", "-f", EXAMPLE).code == 0
    again = admin.script("apply", "-f", EXAMPLE)
    assert (again.code, again.out, again.err) == (0, "nothing to do\n", "")
