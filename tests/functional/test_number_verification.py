"""The user story and its exceptions, over gRPC and REST from one parametrisation."""

import hashlib

import pytest

from functional.service import Service
from functional.transports import MOBILE_403, Transport
from number_verification_client import OAuthError


def test_the_number_typed_is_the_devices(sandbox: Service, transport: Transport) -> None:
    token = sandbox.partner.token_for("phone-1")
    outcome = transport.verify(token, phoneNumber=sandbox.partner.phone_number_of("phone-1"))
    assert (outcome.code, outcome.body) == ("OK", {"devicePhoneNumberVerified": True})


def test_the_number_typed_is_somebody_elses(sandbox: Service, transport: Transport) -> None:
    token = sandbox.partner.token_for("phone-1")
    outcome = transport.verify(token, phoneNumber=sandbox.partner.phone_number_of("phone-2"))
    assert (outcome.code, outcome.body) == ("OK", {"devicePhoneNumberVerified": False})


@pytest.mark.parametrize("upper", [False, True])
def test_the_number_is_compared_by_its_hash(sandbox: Service, transport: Transport, upper: bool) -> None:
    hashed = hashlib.sha256(sandbox.partner.phone_number_of("phone-1").encode()).hexdigest()
    token = sandbox.partner.token_for("phone-1")
    outcome = transport.verify(token, hashedPhoneNumber=hashed.upper() if upper else hashed)
    assert outcome.body == {"devicePhoneNumberVerified": True}


def test_the_hash_is_of_the_number_with_its_plus(sandbox: Service, transport: Transport) -> None:
    hashed = hashlib.sha256(sandbox.partner.phone_number_of("phone-1")[1:].encode()).hexdigest()
    outcome = transport.verify(sandbox.partner.token_for("phone-1"), hashedPhoneNumber=hashed)
    assert outcome.body == {"devicePhoneNumberVerified": False}


def test_the_number_is_shared(sandbox: Service, transport: Transport) -> None:
    outcome = transport.share(sandbox.partner.token_for("phone-1"))
    assert outcome.body == {"devicePhoneNumber": sandbox.partner.phone_number_of("phone-1")}


@pytest.mark.parametrize("device", ["phone-1", "phone-2", "ipv6", "cgnat", "cgnat-neighbour"])
def test_each_device_is_told_apart(sandbox: Service, transport: Transport, device: str) -> None:
    outcome = transport.share(sandbox.partner.token_for(device))
    assert outcome.body == {"devicePhoneNumber": sandbox.partner.phone_number_of(device)}


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("hotspot-guest", "tethered"),
        ("hotspot-apn", "tethered"),
        ("wifi-calling", "wlan_access"),
        ("company-laptop", "apn_not_allowed"),
        ("home-wifi", "off_net"),
        ("cgnat-port-unknown", "port_missing"),
    ],
)
def test_a_device_that_the_network_does_not_authenticate_gets_no_token(
    sandbox: Service, device: str, reason: str
) -> None:
    with pytest.raises(OAuthError) as refused:
        sandbox.partner.token_for(device)
    assert refused.value.reason == "access_denied"
    assert any(line.get("reason") == reason for line in sandbox.log if line["event"] == "authorization")


def test_a_token_serves_one_call(sandbox: Service, transport: Transport) -> None:
    token = sandbox.partner.token_for("phone-1")
    assert transport.share(token).code == "OK"
    assert transport.share(token).code == "UNAUTHENTICATED"


def test_without_a_token(transport: Transport) -> None:
    assert transport.share(None).code == "UNAUTHENTICATED"


def test_a_number_without_plus_is_refused(sandbox: Service, transport: Transport) -> None:
    number = sandbox.partner.phone_number_of("phone-1").removeprefix("+")
    assert transport.verify(sandbox.partner.token_for("phone-1"), phoneNumber=number).code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("amr", [["sms"], ["pwd"], None])
def test_a_user_authenticated_in_another_way_is_refused(
    sandbox: Service, transport: Transport, amr: list[str] | None
) -> None:
    assert transport.share(sandbox.external_token(amr=amr)).code == MOBILE_403


def test_a_token_of_the_external_issuer(sandbox: Service, transport: Transport) -> None:
    token = sandbox.external_token(phone_number="+990555000123")
    assert transport.share(token).body == {"devicePhoneNumber": "+990555000123"}
    assert transport.share(token).code == "UNAUTHENTICATED"
