"""What a stranger may make us fetch from: the Internet, and nothing else (server-side request forgery)."""

import ssl
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from number_verification.authorization import http_fetch
from number_verification.authorization.http_fetch import FetchFailed, fetch_public_document, is_public
from unit.authorization.origin_server import OriginServer, certificate, reply

LOOPBACK = [ip_network("127.0.0.0/8")]

NOT_PUBLIC = """
    0.0.0.0 10.0.0.1 100.64.0.1 100.127.255.254 127.0.0.1 169.254.169.254 172.16.0.1 172.31.255.1 192.0.0.1
    192.0.2.1 192.168.0.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 ::
    ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
    64:ff9b::a9fe:a9fe 64:ff9b::a00:1 64:ff9b:1::a00:1 100::1 2001::1 2001:db8::1 2002:7f00:1::1 2002:a00:1::1
    fc00::1 fd00:ec2::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1 5f00::1
"""


@pytest.mark.parametrize("text", NOT_PUBLIC.split())
def test_addresses_of_a_purpose_of_their_own(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_addresses_of_the_internet(text: str) -> None:
    assert is_public(ip_address(text))


def test_what_is_allowed_besides() -> None:
    assert is_public(ip_address("10.1.2.3"), [ip_network("10.0.0.0/8")])
    assert is_public(ip_address("::ffff:10.1.2.3"), [ip_network("10.0.0.0/8")])
    assert not is_public(ip_address("192.168.0.1"), [ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert is_public(ip_address("fd00::1"), [ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


Served = tuple[OriginServer, ssl.SSLContext]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    serving, trusting = certificate(tmp_path)
    with OriginServer(reply(b"{}"), serving) as server:
        yield server, trusting


def test_a_document(served: Served) -> None:
    server, trusting = served
    assert fetch_public_document(server.uri, 100, 5, allowed=LOOPBACK, tls=trusting) == b"{}"
    assert server.requests[0].startswith(b"GET /jwks?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "0177.0.0.1", "[::ffff:7f00:1]"]
)
def test_no_spelling_of_a_private_address_is_connected_to(served: Served, host: str) -> None:
    server, trusting = served
    uri = server.uri.replace("127.0.0.1", host)
    with pytest.raises(FetchFailed, match=r"not a public address|cannot connect"):
        fetch_public_document(uri, 100, 5, tls=trusting)
    assert not server.connected.is_set()


def test_plain_http_is_for_nobody() -> None:
    with OriginServer(reply(b"{}")) as server:
        with pytest.raises(FetchFailed, match="only HTTPS"):
            fetch_public_document(server.uri, 100, 5, allowed=LOOPBACK)
        assert not server.connected.is_set()


Answers = Callable[..., list[Any]]


def answering(*addresses: str) -> tuple[Answers, list[str]]:
    """A name server that gives its answers in turn, and the names that it was asked for."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        answer = addresses[min(len(asked), len(addresses)) - 1]
        return [(2, 1, 6, "", (address, port)) for address in answer.split()]

    return getaddrinfo, asked


def fetched_by_name(
    served: Served, monkeypatch: pytest.MonkeyPatch, *answers: str
) -> tuple[str, list[str], list[tuple[str, int]]]:
    """Fetch from a name. What came of it, which names were asked for, and what was connected to."""
    server, trusting = served
    names, asked = answering(*answers)
    connected: list[tuple[str, int]] = []
    connect = http_fetch.socket.create_connection

    def connecting(address: tuple[str, int], *rest: Any) -> Any:
        connected.append(address)
        monkeypatch.undo()
        return connect(address, *rest)

    monkeypatch.setattr(http_fetch.socket, "getaddrinfo", names)
    monkeypatch.setattr(http_fetch.socket, "create_connection", connecting)
    try:
        fetch_public_document(server.uri.replace("127.0.0.1", "bank.example"), 100, 5, allowed=LOOPBACK, tls=trusting)
    except FetchFailed as failure:
        return str(failure), asked, connected
    finally:
        monkeypatch.undo()
    return "", asked, connected


def test_a_name_is_looked_up_once_and_its_certificate_is_the_name_s(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rebinding: what the name server says the second time is never asked. Seen to fail with a second look-up."""
    failure, asked, connected = fetched_by_name(served, monkeypatch, "127.0.0.1", "169.254.169.254")
    assert asked == ["bank.example"]
    assert [address for address, _ in connected] == ["127.0.0.1"]
    # The certificate is for the address, not for the name.
    assert failure == "no answer: SSLCertVerificationError"


@pytest.mark.parametrize("answer", ["127.0.0.1 10.0.0.1", "10.0.0.1 127.0.0.1", "1.1.1.1 169.254.169.254", "::1", ""])
def test_a_name_with_one_address_in_the_wrong_place_is_refused_altogether(
    served: Served, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    failure, _, connected = fetched_by_name(served, monkeypatch, answer)
    assert failure == "not a public address"
    assert not connected
