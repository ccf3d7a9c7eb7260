from ipaddress import IPv4Address, IPv4Network, ip_network

import pytest

from number_verification.sessions.feeds.radius.clients import RadiusClient, RadiusClients


def client(name: str, network: str) -> RadiusClient:
    return RadiusClient(name, ip_network(network), b"secret of " + name.encode())


CLIENTS = [
    client("region", "10.0.0.0/8"),
    client("site", "10.1.0.0/16"),
    client("gateway", "10.1.2.3/32"),
    client("six", "2001:db8::/32"),
    client("local-six", "fe80::/10"),
]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("10.1.2.3", "gateway"),
        ("10.1.2.4", "site"),
        ("10.2.0.1", "region"),
        ("11.0.0.1", None),
        ("::ffff:10.1.2.3", "gateway"),
        ("2001:db8::1", "six"),
        ("2001:db9::1", None),
        ("fe80::1%eth0", "local-six"),
    ],
)
def test_the_most_specific_network_wins(source: str, expected: str | None, *, reverse: bool) -> None:
    clients = RadiusClients(reversed(CLIENTS) if reverse else CLIENTS)
    for _ in range(2):
        found = clients.find(source)
        assert (found.name if found else None) == expected


def test_forged_sources_do_not_fill_the_memory() -> None:
    clients = RadiusClients(CLIENTS)
    for n in range(10_000):
        assert clients.find(str(IPv4Address(0x0B000000 + n))) is None
    assert len(clients._remembered) <= 4096
    assert clients.find("10.1.2.3") is CLIENTS[2]


def test_a_network_has_one_client() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/8"):
        RadiusClients([CLIENTS[0], client("again", "10.0.0.0/8")])


@pytest.mark.parametrize(("name", "secret"), [("", b"secret"), ("name", b"")])
def test_a_client_has_a_name_and_a_secret(name: str, secret: bytes) -> None:
    with pytest.raises(ValueError, match="needs a name and a secret"):
        RadiusClient(name, IPv4Network("10.0.0.0/8"), secret)


def test_the_repr_hides_the_secret() -> None:
    assert "secret" not in repr(CLIENTS[0])
