"""Origin metadata: where an edge saw the device, believed from a trusted edge and refused from anybody else."""

import os
from collections.abc import Iterator

import pytest

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.service import Service
from functional.serving import Setup, running_service
from functional.transports import MOBILE_403, Grpc, Rest, Transport

PREFIX = "x-network-origin-"
DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")
OTHER = Attachment("127.2.0.2", "+990555000778", "999990555000778")
TETHERED_AWAY = "127.2.0.99"

Headers = list[tuple[str, str]]


@pytest.fixture(scope="module")
def edge_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that trusts 127.0.0.1, from where every test connects, as an edge."""
    directory = tmp_path_factory.mktemp("service")
    setup = Setup(directory / "data")
    setup.content["origin"] = {"trusted_edges": ["127.0.0.1/32"], "underscores_dropped": True}
    with running_service(directory, setup) as service:
        gateway = Gateway(service)
        gateway.start(DEVICE)
        gateway.start(OTHER)
        yield service


@pytest.fixture(params=["grpc", "rest"])
def edge(request: pytest.FixtureRequest, edge_service: Service) -> Iterator[Transport]:
    with Grpc(edge_service) if request.param == "grpc" else Rest(edge_service) as opened:
        yield opened


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("address", "127.1.0.1"),
        ("access", "cellular"),
        ("tethered", "no"),
        ("access", "nonsense"),
        ("access", ""),
        ("unknown", "x"),
    ],
)
def test_from_anybody_else(sandbox: Service, transport: Transport, name: str, value: str) -> None:
    """However true it is. What gRPC passes on is looked at by prefix; HTTP headers by an allow-list."""
    outcome = transport.share(sandbox.external_token(), [(PREFIX + name, value)])
    if transport.name == "rest" and name == "unknown":
        assert outcome.code == "OK"
    else:
        assert outcome.code == "PERMISSION_DENIED"


def test_from_the_edge_of_the_sandbox_by_rest(sandbox: Service) -> None:
    edge = Rest(sandbox, source=sandbox.description["trusted_proxy"]["address"])
    assert edge.share(sandbox.external_token(), [(f"{PREFIX}access", "cellular")]).code == "OK"
    assert edge.share(sandbox.external_token(), [(f"{PREFIX}access", "wlan")]).code == MOBILE_403


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(f"{PREFIX}access", "cellular")],
        [(f"{PREFIX}access", "unknown")],
        [(f"{PREFIX}tethered", "no")],
        [(f"{PREFIX}tethered", "unknown")],
        [(f"{PREFIX}address", DEVICE.address)],
        [(f"{PREFIX}address", f"{DEVICE.address}:40000")],
        [(f"{PREFIX}address", DEVICE.address), (f"{PREFIX}access", "cellular"), (f"{PREFIX}tethered", "no")],
    ],
)
def test_what_agrees(edge_service: Service, edge: Transport, headers: Headers) -> None:
    outcome = edge.share(OAuthClient(edge_service).token(DEVICE.address), headers)
    assert outcome.body == {"devicePhoneNumber": DEVICE.phone_number}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([(f"{PREFIX}access", "wlan")], "wlan_access"),
        ([(f"{PREFIX}access", "fixed")], "off_net"),
        ([(f"{PREFIX}tethered", "yes")], "tethered"),
        ([(f"{PREFIX}address", "192.0.2.1")], "off_net"),
        ([(f"{PREFIX}address", "[2001:db8::1]:443")], "off_net"),
        ([(f"{PREFIX}address", TETHERED_AWAY)], "off_net"),
        ([(f"{PREFIX}address", OTHER.address)], "other_subscriber"),
        ([(f"{PREFIX}address", f"{OTHER.address}:40000")], "other_subscriber"),
        ([(f"{PREFIX}address", DEVICE.address), (f"{PREFIX}access", "wlan")], "wlan_access"),
        ([(f"{PREFIX}address", DEVICE.address), (f"{PREFIX}tethered", "yes")], "tethered"),
    ],
)
def test_what_contradicts(edge_service: Service, edge: Transport, headers: Headers, reason: str) -> None:
    correlator = f"origin-{os.urandom(8).hex()}"
    token = OAuthClient(edge_service).token(DEVICE.address)
    assert edge.share(token, [*headers, ("x-correlator", correlator)]).code == MOBILE_403
    assert edge_service.logged(correlator)["reason"] == reason


@pytest.mark.parametrize(
    "headers",
    [
        [(f"{PREFIX}access", "Cellular")],
        [(f"{PREFIX}access", "")],
        [(f"{PREFIX}access", "5g")],
        [(f"{PREFIX}tethered", "true")],
        [(f"{PREFIX}tethered", "no, no")],
        [(f"{PREFIX}address", "")],
        [(f"{PREFIX}address", "localhost")],
        [(f"{PREFIX}address", "127.2.0")],
        [(f"{PREFIX}address", "127.2.0.1:")],
        [(f"{PREFIX}address", "127.2.0.1:0x50")],
        [(f"{PREFIX}address", "127.2.0.1:70000")],
        [(f"{PREFIX}address", "127.2.0.01")],
        [(f"{PREFIX}address", "2001:db8::1:443:")],
        [(f"{PREFIX}address", "[127.2.0.1]:1")],
        [(f"{PREFIX}address", "127.2.0.1, 127.2.0.2")],
        [(f"{PREFIX}address", "a" * 5_000)],
        [(f"{PREFIX}address", DEVICE.address), (f"{PREFIX}address", DEVICE.address)],
        [(f"{PREFIX}access", "cellular"), (f"{PREFIX}access", "wlan")],
        [(f"{PREFIX}access", "wlan"), (f"{PREFIX}access", "cellular")],
    ],
)
def test_what_is_malformed(edge_service: Service, edge: Transport, headers: Headers) -> None:
    outcome = edge.share(edge_service.external_token(), headers)
    assert outcome.code == "INVALID_ARGUMENT"


def test_an_unknown_piece_is_malformed(edge_service: Service) -> None:
    """By gRPC; of HTTP headers only those of the contract are taken at all."""
    with Grpc(edge_service) as edge:
        assert edge.share(edge_service.external_token(), [(f"{PREFIX}roaming", "no")]).code == "INVALID_ARGUMENT"


def test_a_number_that_an_external_issuer_vouches_for(edge_service: Service, edge: Transport) -> None:
    for phone_number, code in ((DEVICE.phone_number, "OK"), (OTHER.phone_number, MOBILE_403)):
        token = edge_service.external_token(phone_number=phone_number)
        assert edge.share(token, [(f"{PREFIX}address", DEVICE.address)]).code == code


def test_an_edge_cannot_make_up_for_a_token(edge_service: Service, edge: Transport) -> None:
    headers = [(f"{PREFIX}address", DEVICE.address), (f"{PREFIX}access", "cellular")]
    assert edge.share(None, headers).code == "UNAUTHENTICATED"
    assert edge.share(edge_service.external_token(amr=["pwd"]), headers).code == MOBILE_403
