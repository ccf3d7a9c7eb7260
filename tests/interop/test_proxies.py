"""HAProxy and Envoy in front of the authorization endpoint, with the configurations that docs/examples hold.

Each in two ways: it reads requests and writes `Forwarded`, or it relays connections and speaks the PROXY protocol.
"""

import socket
import struct
import time
import tomllib
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import pytest

from functional.service import PURPOSE, READ_SCOPE, HttpAnswer, Service
from functional.serving import Setup, running_service
from functional.transports import Rest
from interop.device import Device, get
from interop.programs import LOOPBACK, LOOPBACK_IPV6, filled_in, free_port
from interop.proxies import EXAMPLES, Proxy, proxy
from interop.radclient import Attached, Gateway
from number_verification_client import OAuthError

pytestmark = pytest.mark.interop

PROXY, BALANCER = "127.9.9.9", "127.9.9.8"
PUBLIC = "127.2.0.7"
"""Whose ports the devices behind CGNAT share: a loopback address, so that they can really connect from it."""

PHONE = Attached(101, {"Framed-IP-Address": "127.1.0.1"})
OTHER_PHONE = Attached(102, {"Framed-IP-Address": "127.1.0.2"})
IPV6_PHONE = Attached(103, {"Framed-IPv6-Prefix": "::/64"})


def behind_cgnat(serial: int, private_address: str, ports: range) -> Attached:
    """A session whose gateway says which ports it was given (RFC 8045)."""
    block = {
        "IP-Port-Range-Ext-IPv4-Addr": PUBLIC,
        "IP-Port-Range-Alloc": "Allocation",
        "IP-Port-Range-Range-Start": str(ports[0]),
        "IP-Port-Range-Range-End": str(ports[-1]),
    }
    return Attached(serial, {"Framed-IP-Address": private_address}, block)


PORTS, NEIGHBOURS_PORTS, NOBODYS_PORTS = range(40000, 40512), range(40512, 41024), range(41024, 41536)
CGNAT_PHONE = behind_cgnat(104, "10.0.0.9", PORTS)
CGNAT_NEIGHBOUR = behind_cgnat(105, "10.0.0.10", NEIGHBOURS_PORTS)

DEVICES = {
    "phone": (Device("127.1.0.1"), PHONE),
    "other phone": (Device("127.1.0.2"), OTHER_PHONE),
    "IPv6": (Device(LOOPBACK_IPV6), IPV6_PHONE),
    "CGNAT": (Device(PUBLIC, PORTS), CGNAT_PHONE),
    "CGNAT neighbour": (Device(PUBLIC, NEIGHBOURS_PORTS), CGNAT_NEIGHBOUR),
}
HOME = Device("127.3.0.1")
"""In none of the operator's pools."""


class Way(NamedTuple):
    """A proxy in front of the service."""

    service: Service
    proxy: Proxy
    reads_requests: bool

    def root(self, device: Device) -> str:
        """Where a device reaches it: over IPv6 if the device has that."""
        return f"http://{f'[{LOOPBACK_IPV6}]' if ':' in device.address else LOOPBACK}:{self.proxy.port}"

    def number_of(self, device: Device, headers: tuple[tuple[str, str], ...] = ()) -> str:
        """Whose number a partner learns when a device opens an authorization request through the proxy.

        Raises:
            OAuthError: the device is not authenticated.
        """
        request = self.service.partner.begin()
        opened = device.open(self.root(device), request, headers)
        token = self.service.partner.redeem(opened.headers["location"], request).access_token
        with Rest(self.service) as rest:
            number: str = rest.share(token).body["devicePhoneNumber"]
        return number


@pytest.fixture(scope="module")
def ingress() -> str:
    return f"{LOOPBACK}:{free_port()}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, ingress: str) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("service")
    setup = Setup(directory / "data")
    host, _, port = ingress.rpartition(":")
    variables = {
        "PROXY_ADDRESS": PROXY,
        "BALANCER_ADDRESS": BALANCER,
        "INGRESS_ADDRESS": host,
        "INGRESS_PORT": port,
    }
    setup.content |= tomllib.loads(filled_in(EXAMPLES / "origin.toml", variables))
    setup.content["network"] |= {
        "direct": [{"network": "127.1.0.0/16"}, {"network": "::/64"}],
        "translated": ["127.2.0.0/16"],
    }
    setup.description["clients"][0]["scopes"] = ["openid", PURPOSE, READ_SCOPE]
    with running_service(directory, setup) as started:
        gateway = Gateway(started, "pgw-1")
        for _, attached in DEVICES.values():
            assert gateway.reports("Start", attached)
        yield started


@pytest.fixture(
    scope="module",
    params=["haproxy-forwarded.cfg", "envoy-forwarded.yaml", "haproxy-proxy-protocol.cfg", "envoy-proxy-protocol.yaml"],
)
def way(
    request: pytest.FixtureRequest, service: Service, ingress: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Way]:
    reads_requests = "forwarded" in request.param
    source = PROXY if reads_requests else BALANCER
    upstream = service.description["issuer"].removeprefix("http://") if reads_requests else ingress
    directory = tmp_path_factory.mktemp("proxy")
    with proxy(request.param, directory, source=source, upstream=upstream) as started:
        yield Way(service, started, reads_requests)


def test_the_proxy_finds_the_service_healthy(way: Way) -> None:
    deadline = time.monotonic() + 10
    while not way.proxy.finds_service_healthy():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("name", DEVICES)
def test_each_device_is_told_apart(way: Way, name: str) -> None:
    device, attached = DEVICES[name]
    assert way.number_of(device) == attached.phone_number


@pytest.mark.parametrize(("device", "reason"), [(HOME, "off_net"), (Device(PUBLIC, NOBODYS_PORTS), "port_unassigned")])
def test_a_device_that_the_network_does_not_know_is_refused(way: Way, device: Device, reason: str) -> None:
    opened = device.open(way.root(device), way.service.partner.begin())
    assert is_access_denied(opened)
    assert way.service.logged(opened.headers["x-correlator"])["reason"] == reason


def is_access_denied(opened: HttpAnswer) -> bool:
    return "error=access_denied" in opened.headers["location"]


CLAIMED = 'for="127.1.0.1:40001"'


@pytest.mark.parametrize(
    "written",
    [
        [("Forwarded", CLAIMED)],
        [("Forwarded", "for=unknown"), ("Forwarded", CLAIMED)],
        [("Forwarded", 'for="127.1.0.1')],
        [("X-Forwarded-For", "127.1.0.1")],
        [("X_Forwarded_For", "127.1.0.1")],
        [("X-Forwarded_For", "127.1.0.1"), ("Forwarded", CLAIMED)],
        [("X-Forwarded-For", "127.1.0.1"), ("X-Real-IP", "127.1.0.1"), ("Forwarded", CLAIMED)],
    ],
)
def test_what_a_client_writes_changes_nothing(way: Way, written: list[tuple[str, str]]) -> None:
    assert way.number_of(Device("127.1.0.2"), tuple(written)) == OTHER_PHONE.phone_number
    opened = HOME.open(way.root(HOME), way.service.partner.begin(), tuple(written))
    assert is_access_denied(opened)
    assert way.service.logged(opened.headers["x-correlator"])["reason"] == "off_net"


def test_a_client_cannot_make_the_proxy_remove_what_it_wrote(way: Way) -> None:
    # RFC 9110 §7.6.1: what Connection names is for the next hop only.
    named = (("Connection", "Forwarded"), ("Forwarded", CLAIMED))
    opened = HOME.open(way.root(HOME), way.service.partner.begin(), named)
    assert opened.status == 400 or is_access_denied(opened)


@pytest.mark.parametrize("name", ["X-Network-Origin-Address", "X_Network_Origin_Address", "X-Network-Origin-Access"])
def test_a_client_cannot_attest_an_origin(way: Way, name: str) -> None:
    partner, device = way.service.partner, Device("127.1.0.1")
    request = partner.begin()
    token = partner.redeem(device.open(way.root(device), request).headers["location"], request).access_token
    url = f"{way.root(device)}/number-verification/v2/device-phone-number"
    # From this proxy, or from the ingress behind it, the service takes no attestation: what gets there is refused.
    answer = device.get(url, (("Authorization", f"Bearer {token}"), (name, "127.1.0.1")))
    assert (answer.status, answer.json) == (200, {"devicePhoneNumber": PHONE.phone_number})


def test_devices_that_stay_connected_are_told_apart(way: Way) -> None:
    partner = way.service.partner
    with (
        closing(Device("127.1.0.1").connect(way.root(HOME))) as one,
        closing(Device("127.1.0.2").connect(way.root(HOME))) as other,
    ):
        for _ in range(3 if way.reads_requests else 1):
            for connection, attached in ((one, PHONE), (other, OTHER_PHONE)):
                request = partner.begin()
                opened = get(connection, request.url)
                token = partner.redeem(opened.headers["location"], request).access_token
                assert opened.headers.get("connection") != "close" or not way.reads_requests
                with Rest(way.service) as rest:
                    assert rest.share(token).body == {"devicePhoneNumber": attached.phone_number}


def proxy_header(address: str) -> bytes:
    """A PROXY v2 header for a TCP connection from this address."""
    addresses = socket.inet_aton(address) + socket.inet_aton(LOOPBACK) + struct.pack("!HH", 40001, 80)
    return b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", len(addresses)) + addresses


def answer_to(device: Device, root: str, sent: bytes) -> bytes:
    """All that comes back until the connection is closed."""
    with closing(device.connect(root)) as connection:
        connection.sock.sendall(sent)
        received = b""
        try:
            while more := connection.sock.recv(65536):
                received += more
        except ConnectionResetError:
            pass
        return received


def authorization_request(service: Service) -> bytes:
    request = service.partner.begin()
    return f"GET {request.url.removeprefix(request.issuer)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()


def test_a_client_that_speaks_the_proxy_protocol_itself_is_refused(way: Way) -> None:
    answer = answer_to(HOME, way.root(HOME), proxy_header("127.1.0.1") + authorization_request(way.service))
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_only_the_balancer_is_heard_by_the_ingress(service: Service, ingress: str) -> None:
    sent = proxy_header("127.1.0.1") + authorization_request(service)
    assert answer_to(HOME, f"http://{ingress}", sent) == b""
    assert b"code=" in answer_to(Device(BALANCER), f"http://{ingress}", sent)


@pytest.fixture(scope="module", params=["haproxy-forwarded.cfg", "envoy-forwarded.yaml"])
def sandbox_root(
    request: pytest.FixtureRequest, sandbox: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A proxy in front of the sandbox, at the address that the sandbox trusts."""
    trusted = sandbox.description["trusted_proxy"]["address"]
    upstream = sandbox.description["issuer"].removeprefix("http://")
    directory = tmp_path_factory.mktemp("proxy")
    with proxy(request.param, directory, source=trusted, upstream=upstream) as started:
        yield f"http://{LOOPBACK}:{started.port}"


@pytest.mark.parametrize("name", ["phone-1", "phone-2", "hotspot-guest", "wifi-calling", "home-wifi"])
def test_a_sandbox_device_gets_what_it_gets_without_the_proxy(sandbox: Service, sandbox_root: str, name: str) -> None:
    known = next(device for device in sandbox.description["devices"] if device["name"] == name)
    partner = sandbox.partner
    request = partner.begin()
    opened = Device(known["address"]).open(sandbox_root, request)
    if known["outcome"] == "refused":
        with pytest.raises(OAuthError, match="access_denied"):
            partner.redeem(opened.headers["location"], request)
        assert sandbox.logged(opened.headers["x-correlator"])["reason"] == known["reason"]
    else:
        token = partner.redeem(opened.headers["location"], request).access_token
        with Rest(sandbox) as rest:
            assert rest.share(token).body == {"devicePhoneNumber": known["phone_number"]}


def test_a_client_cannot_attest_an_origin_to_the_sandbox(sandbox: Service, sandbox_root: str) -> None:
    # The sandbox believes this proxy's origin metadata, so here nothing but the proxy stands in the way.
    headers = (
        ("Authorization", f"Bearer {sandbox.partner.token_for('phone-1')}"),
        ("X-Network-Origin-Address", "127.1.0.2"),
    )
    answer = Device("127.1.0.1").get(f"{sandbox_root}/number-verification/v2/device-phone-number", headers)
    assert answer.json == {"devicePhoneNumber": sandbox.partner.phone_number_of("phone-1")}
