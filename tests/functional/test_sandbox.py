"""What the contract promises of the sandbox, its description, and the admin listener."""

import json
import re
import stat
import subprocess
from pathlib import Path

import pytest

from functional.authorization import OAuthClient
from functional.desk import Desk, GrpcWire, RestWire
from functional.gateway import Attachment, Gateway
from functional.sandbox import FREE_PORTS, running_sandbox
from functional.service import SCRIPT, START_SECONDS, Service
from functional.serving import key_pair
from functional.transports import Grpc, Rest, Transport
from number_verification.gen.onboarding.v1 import applications_pb2 as apps
from number_verification.gen.onboarding.v1 import organizations_pb2 as orgs

KEYS = {
    "issuer",
    "api_root",
    "grpc",
    "admin",
    "internal",
    "radius",
    "clients",
    "trusted_proxy",
    "devices",
    "external_issuer",
}


def test_the_description(sandbox: Service) -> None:
    description = sandbox.description
    assert set(description) >= KEYS
    assert set(description["radius"]) >= {"address", "secret", "apn"}
    for client in description["clients"]:
        assert set(client) >= {"name", "client_id", "private_jwk", "redirect_uri", "scopes"}
    assert description["trusted_proxy"] == {"address": "127.9.9.9", "header": "Forwarded"}
    assert set(description["external_issuer"]) >= {"issuer", "audience", "private_jwk"}
    assert description["external_issuer"]["private_jwk"]["kid"]
    for name in ("issuer", "api_root", "admin"):
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*", description[name])
    mode = (sandbox.data_dir / "sandbox.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_whom_the_clients_belong_to(sandbox: Service) -> None:
    """One came directly and one through a channel partner; one of them needs consent."""
    direct, behind = sandbox.description["clients"]
    for client in (direct, behind):
        assert client["application"].startswith(f"{client['customer']}/applications/")
    assert direct["channel_partner"] is None
    assert re.fullmatch("organizations/[a-z-]+", behind["channel_partner"])
    assert (direct["legal_basis"], behind["legal_basis"]) == ("legitimate_interest", "consent")
    with GrpcWire(sandbox) as wire:
        staff = Desk(wire).staff
        for client in (direct, behind):
            found = staff(apps.GetApplicationRequest(name=client["application"])).application
            assert (found.client_id, found.state) == (client["client_id"], apps.APPLICATION_STATE_ACTIVE)
            customer = staff(orgs.GetOrganizationRequest(name=client["customer"])).organization
            assert customer.channel_partner == (client["channel_partner"] or "")
            (purpose,) = found.purposes
            assert apps.LegalBasis.Name(purpose.legal_basis) == f"LEGAL_BASIS_{client['legal_basis'].upper()}"


def test_how_internal_services_are_called(sandbox: Service) -> None:
    internal = sandbox.description["internal"]
    assert set(internal) >= {"listener", "api_root", "client_id", "private_jwk"}
    for wire_class in (GrpcWire, RestWire):
        with wire_class(sandbox) as wire:
            listed = Desk(wire).staff(orgs.ListOrganizationsRequest()).organizations
            assert {client["customer"] for client in sandbox.description["clients"]} <= {each.name for each in listed}


def test_every_device_says_whether_its_user_agrees(sandbox: Service, transport: Transport) -> None:
    """And is served so where it is authenticated: at least one that gave consent, and one that did not."""
    (index,) = (i for i, each in enumerate(sandbox.description["clients"]) if each["legal_basis"] == "consent")
    client = OAuthClient(sandbox, index)
    proxy, seen = sandbox.description["trusted_proxy"]["address"], set()
    for device in sandbox.description["devices"]:
        assert set(device["consent"]) == {client.registered["name"]}
        given = device["consent"][client.registered["name"]]
        assert given in ("given", "missing")
        if device["outcome"] == "refused":
            continue
        seen.add(given)
        source = device.get("address", proxy)
        headers = [("Forwarded", device["forwarded"])] if "forwarded" in device else []
        if given == "given":
            outcome = transport.share(client.token(source, headers))
            assert outcome.body == {"devicePhoneNumber": device["phone_number"]}
        else:
            assert client.callback(source, headers)["error"] == "consent_required"
    assert seen == {"given", "missing"}


def test_a_second_sandbox_in_the_same_place_is_refused(sandbox: Service) -> None:
    command = [SCRIPT, "sandbox", "--data-dir", sandbox.data_dir, *FREE_PORTS]
    second = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert (second.returncode, second.stdout) == (2, "")
    assert "in use by another sandbox" in second.stderr
    # Nothing was taken from the first one.
    assert json.loads((sandbox.data_dir / "sandbox.json").read_text()) == sandbox.description
    assert Rest(sandbox).share(OAuthClient(sandbox).token()).code == "OK"


def test_a_restart_goes_on(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "sandbox") as first:
        former = first.description
        shop, phone_1 = former["clients"][1], former["devices"][0]
        token = OAuthClient(first).token()
        with GrpcWire(first) as wire:
            desk = Desk(wire)
            made = desk.organization()
            desk.withdraw(OAuthClient(first, 1, {**shop, "name": shop["application"]}), phone_1["phone_number"])
    assert not (tmp_path / "sandbox" / "sandbox.json").exists()
    with running_sandbox(tmp_path / "sandbox") as second, GrpcWire(second) as wire:
        staff = Desk(wire).staff
        assert made in [each.name for each in staff(orgs.ListOrganizationsRequest()).organizations]
        # What a partner has configured is good for the new one, and so is a token that was not used.
        assert second.description["clients"] == former["clients"]
        assert Rest(second).share(token).code == "OK"
        # Who agrees is what is on record, not what it was in the beginning.
        devices = {device["name"]: device["consent"]["shop"] for device in second.description["devices"]}
        assert (phone_1["consent"]["shop"], devices["phone-1"], devices["ipv6"]) == ("given", "missing", "given")
    with running_sandbox(tmp_path / "sandbox", ["--empty-registry"]) as third, GrpcWire(third) as wire:
        assert not list(Desk(wire).staff(orgs.ListOrganizationsRequest()).organizations)


def test_an_empty_registry(tmp_path: Path) -> None:
    with running_sandbox(tmp_path / "sandbox", ["--empty-registry"]) as empty, GrpcWire(empty) as wire:
        assert empty.description["clients"] == []
        assert not list(Desk(wire).staff(orgs.ListOrganizationsRequest()).organizations)
        assert {tuple(device["consent"]) for device in empty.description["devices"]} == {()}
        # Nobody is known, and whoever tries is told so.
        key = tmp_path / "key.json"
        key.write_text(json.dumps(key_pair()))
        sandbox_json = empty.data_dir / "sandbox.json"
        command = [SCRIPT, "token", "--sandbox", sandbox_json, "--client-id", "nobody", "--key", key]
        token = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        assert (token.returncode, token.stdout) == (1, "")
        assert token.stderr.startswith("refused: invalid_request: ")


def test_the_devices_that_there_must_be(sandbox: Service) -> None:
    devices = sandbox.description["devices"]
    authenticated = [device for device in devices if device["outcome"] == "authenticated"]
    refused = {device["reason"] for device in devices if device["outcome"] == "refused"}
    assert sum("address" in device for device in authenticated) >= 2
    forwarded = [device["forwarded"] for device in authenticated if "forwarded" in device]
    assert sum("[" in header for header in forwarded) >= 1
    behind_cgnat = [header.partition(":")[0] for header in forwarded if "[" not in header]
    assert len(behind_cgnat) > len(set(behind_cgnat))
    assert {"tethered", "wlan_access", "apn_not_allowed", "port_missing"} <= refused
    assert all(device["phone_number"].startswith("+990") for device in authenticated)
    assert len({device["phone_number"] for device in authenticated}) == len(authenticated)


def test_every_device_comes_out_as_it_says(sandbox: Service, oauth: OAuthClient, transport: Transport) -> None:
    proxy = sandbox.description["trusted_proxy"]["address"]
    for device in sandbox.description["devices"]:
        source = device.get("address", proxy)
        headers = [("Forwarded", device["forwarded"])] if "forwarded" in device else []
        if device["outcome"] == "authenticated":
            outcome = transport.share(oauth.token(source, headers))
            assert outcome.body == {"devicePhoneNumber": device["phone_number"]}
        else:
            correlator = f"{device['name']}-{transport.name}-{id(transport)}"
            answer = oauth.callback(source, [*headers, ("x-correlator", correlator)])
            assert answer["error"] == "access_denied"
            assert sandbox.logged(correlator)["reason"] == device["reason"]


@pytest.mark.parametrize("address", ["127.1.0.200", "127.200.0.1", "127.0.0.1"])
def test_any_other_loopback_address_is_at_home(oauth: OAuthClient, address: str) -> None:
    assert oauth.callback(address)["error"] == "access_denied"


def test_any_gateway_on_loopback_may_report(sandbox: Service, oauth: OAuthClient, rest: Rest) -> None:
    device = Attachment("127.66.0.1", "+990660000001", "999996600000001")
    gateway = Gateway(sandbox, "a-gateway-nobody-knows")
    gateway.start(device)
    assert rest.share(oauth.token(device.address)).body == {"devicePhoneNumber": device.phone_number}
    gateway.stop(device)


def test_the_admin_listener(sandbox: Service) -> None:
    assert sandbox.admin("/healthz").status == 200
    ready = sandbox.admin("/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ready", "failing": {}})
    assert sandbox.admin("/").status == 404


def test_the_metrics(sandbox: Service) -> None:
    with Grpc(sandbox) as by_grpc:
        for transport in (by_grpc, Rest(sandbox)):
            assert transport.share(None).code == "UNAUTHENTICATED"
            metrics = sandbox.admin("/metrics").body.decode()
            line = re.search(
                r"^number_verification_calls_total\{"
                r'code="UNAUTHENTICATED",method="[^"]*/GetDevicePhoneNumber",reason="token_missing",'
                rf'transport="{transport.name}"\}} [1-9]',
                metrics,
                re.MULTILINE,
            )
            assert line, "the refusal was not counted"


def test_what_a_caller_makes_up_is_no_metric(sandbox: Service, rest: Rest) -> None:
    """Labels come from closed sets, or whoever calls could fill the memory."""
    for number in range(5):
        rest.request("GET", f"/made-up-{number}")
        rest.request(f"MADEUP{number}", "/verify")
    assert "made-up" not in (metrics := sandbox.admin("/metrics").body.decode())
    assert "MADEUP" not in metrics
