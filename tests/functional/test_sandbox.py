"""What the contract promises of the sandbox, its description, and the admin listener."""

import re
import stat

import pytest

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.service import Service
from functional.transports import Grpc, Rest, Transport

KEYS = {
    "issuer",
    "api_root",
    "grpc",
    "admin",
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
    client = description["clients"][0]
    assert set(client) >= {"name", "client_id", "private_jwk", "redirect_uri", "scopes"}
    assert description["trusted_proxy"] == {"address": "127.9.9.9", "header": "Forwarded"}
    assert set(description["external_issuer"]) >= {"issuer", "audience", "private_jwk"}
    assert description["external_issuer"]["private_jwk"]["kid"]
    for name in ("issuer", "api_root", "admin"):
        assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*", description[name])
    mode = (sandbox.data_dir / "sandbox.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


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
