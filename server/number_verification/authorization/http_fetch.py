"""Fetching one small document over HTTPS, with limits on everything: no redirects, no proxies, no open ends.

Addresses that the operator configured are fetched from as they are. Those that somebody else wrote (`jwks_uri` of an
application) must not be a way into the operator's own network: they are looked up once, every address that comes out is
checked, and the connection goes to one of those that were checked, so that a second answer of the name server cannot
lead elsewhere.
"""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""What is assigned of IPv6 to the Internet (RFC 4291 §2.4, IANA's registry)."""
_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as networks without IPv4 see them (RFC 6052 §2.1)."""
_TUNNELS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
"""6to4 and Teredo, which carry any IPv4 address."""

_PRINTABLE = re.compile(r"[!-~]+")


class FetchFailed(Exception):
    """A document that could not be fetched. The message is ours and holds nothing of it."""


class Fetch(Protocol):
    """How a document is fetched."""

    def __call__(self, uri: str, max_bytes: int, timeout: float, /) -> bytes:
        """The document, at most `max_bytes` long, within `timeout` seconds from beginning to end.

        Raises:
            FetchFailed: for whatever reason.
        """
        ...


def check_uri(uri: str) -> SplitResult:
    """Check that an address may be fetched from: HTTPS, or plain HTTP to a loopback address.

    Raises:
        ValueError: it may not.
    """
    parts = urlsplit(uri)
    if not parts.hostname or "@" in parts.netloc or parts.fragment or not _PRINTABLE.fullmatch(uri):
        raise ValueError("not an address that documents are fetched from")
    if parts.port == 0 or not (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname))):
        raise ValueError("only HTTPS is allowed, or plain HTTP to a loopback address")
    return parts


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # RFC 6761 §6.3


def fetch_document(uri: str, max_bytes: int, timeout: float, /, *, tls: ssl.SSLContext | None = None) -> bytes:
    """Fetch a document; whatever is not a plain 200 within the limits has failed.

    Args:
        uri: as `check_uri` allows it.
        max_bytes: the greatest size.
        timeout: seconds from beginning to end. Looking the name up counts, but cannot be cut short.
        tls: whom to trust; the system's authorities where it is not given.

    Raises:
        FetchFailed: for whatever reason.
        ValueError: the address is not allowed.
    """
    parts = check_uri(uri)
    encrypted = parts.scheme == "https"
    port = parts.port or (443 if encrypted else 80)
    context = (tls or ssl.create_default_context()) if encrypted else None
    host = parts.hostname or ""
    return _fetched(parts, lambda seconds: socket.create_connection((host, port), seconds), context, max_bytes, timeout)


def fetch_public_document(
    uri: str,
    max_bytes: int,
    timeout: float,
    /,
    *,
    allowed: Sequence[IPv4Network | IPv6Network] = (),
    tls: ssl.SSLContext | None = None,
) -> bytes:
    """Fetch a document from an address that a stranger wrote: by HTTPS only, from the Internet only.

    Args:
        uri: where.
        max_bytes: the greatest size.
        timeout: seconds from beginning to end. Looking the name up counts, but cannot be cut short.
        allowed: networks that may be fetched from although they are not the Internet.
        tls: whom to trust; the system's authorities where it is not given.

    Raises:
        FetchFailed: for whatever reason.
        ValueError: the address is not allowed.
    """
    parts = check_uri(uri)
    if parts.scheme != "https":
        raise FetchFailed("only HTTPS is allowed")
    host, port = parts.hostname or "", parts.port or 443

    def connect(seconds: float) -> socket.socket:
        # A name that has one address in the wrong place is refused altogether: which one is taken must not matter.
        addresses = _addresses(host, port)
        if not addresses or not all(is_public(address, allowed) for address in addresses):
            raise FetchFailed("not a public address")
        return socket.create_connection((str(addresses[0]), port), seconds)

    return _fetched(parts, connect, tls or ssl.create_default_context(), max_bytes, timeout)


def _addresses(host: str, port: int) -> list[IPv4Address | IPv6Address]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(address[0])) for _, _, _, _, address in found]


def is_public(address: IPv4Address | IPv6Address, allowed: Sequence[IPv4Network | IPv6Network] = ()) -> bool:
    """Whether an address is on the Internet, and in none of the ranges that have a purpose of their own.

    Args:
        address: which; an IPv4 address inside an IPv6 one (mapped, NAT64) is what counts.
        allowed: networks that are taken for the Internet.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in _NAT64:
            address = IPv4Address(address.packed[-4:])
    if any(address.version == network.version and address in network for network in allowed):
        return True
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    return isinstance(address, IPv4Address) or (
        address in _GLOBAL_UNICAST and not any(address in tunnel for tunnel in _TUNNELS)
    )


def _fetched(
    parts: SplitResult,
    connect: Callable[[float], socket.socket],
    tls: ssl.SSLContext | None,
    max_bytes: int,
    timeout: float,
) -> bytes:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    deadline = time.monotonic() + timeout
    try:
        connection = connect(timeout)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_hostname=parts.hostname, do_handshake_on_connect=False)
    except (OSError, ValueError) as failure:
        raise FetchFailed(f"cannot connect: {type(failure).__name__}") from None
    # The timeout of a socket starts anew with every byte. Cutting the connection ends whatever waits for one.
    watchdog = threading.Timer(max(0, deadline - time.monotonic()), _cut, (connection,))
    watchdog.daemon = True
    watchdog.start()
    try:
        if isinstance(connection, ssl.SSLSocket):
            connection.do_handshake()
        document = _exchange(connection, parts.netloc, target, max_bytes)
    except (FetchFailed, OSError, ValueError, http.client.HTTPException) as failure:
        if time.monotonic() >= deadline:
            raise FetchFailed("too slow") from None
        if isinstance(failure, FetchFailed):
            raise
        raise FetchFailed(f"no answer: {type(failure).__name__}") from None
    finally:
        watchdog.cancel()
        connection.close()
    if time.monotonic() >= deadline:
        raise FetchFailed("too slow")  # a document without a length ends where the connection was cut
    return document


def _cut(connection: socket.socket) -> None:
    try:
        # Not SSLSocket.shutdown, which takes the TLS state away from under the thread that reads.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return


def _exchange(connection: socket.socket, host: str, target: str, max_bytes: int) -> bytes:
    client = http.client.HTTPConnection("")
    client.sock = connection
    client.putrequest("GET", target, skip_host=True, skip_accept_encoding=True)
    client.putheader("Host", host)
    client.putheader("Accept", "application/jwk-set+json, application/json")
    client.putheader("Connection", "close")
    client.endheaders()
    with client.getresponse() as response:
        if response.status != http.client.OK:
            raise FetchFailed(f"status {response.status}")
        document = response.read(max_bytes + 1)
        if len(document) > max_bytes:
            raise FetchFailed("too large")
        if response.length:
            raise FetchFailed("cut short")
    return document
