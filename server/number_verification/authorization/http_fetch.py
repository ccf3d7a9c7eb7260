"""Fetching one small document over HTTPS, with limits on everything: no redirects, no proxies, no open ends."""

import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

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
    host, encrypted = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if encrypted else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    deadline = time.monotonic() + timeout
    try:
        connection = socket.create_connection((host, port), timeout)
        if encrypted:
            connection = (tls or ssl.create_default_context()).wrap_socket(
                connection, server_hostname=host, do_handshake_on_connect=False
            )
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
