"""Fetching a document from servers that behave, and from servers that do not."""

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from number_verification.authorization.http_fetch import FetchFailed, check_uri, fetch_document
from unit.authorization.origin_server import OriginServer, Script, certificate, reply

LIMIT = 1000
TIMEOUT = 0.5


def failure(uri: str, timeout: float = TIMEOUT, tls: ssl.SSLContext | None = None) -> str:
    began = time.monotonic()
    with pytest.raises(FetchFailed) as caught:
        fetch_document(uri, LIMIT, timeout, tls=tls)
    assert time.monotonic() - began < timeout + 1
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return str(caught.value)


@pytest.mark.parametrize("size", [0, 1, LIMIT])
def test_a_document(size: int) -> None:
    with OriginServer(reply(b"x" * size)) as server:
        assert fetch_document(server.uri, LIMIT, 5) == b"x" * size
        assert server.requests[0].startswith(b"GET /jwks?x=1 HTTP/1.1\r\nHost: 127.0.0.1:")


def test_a_document_without_a_length_and_one_in_chunks() -> None:
    with OriginServer(lambda connection: connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nabc")) as server:
        assert fetch_document(server.uri, LIMIT, 5) == b"abc"
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    with OriginServer(lambda connection: connection.sendall(chunks)) as server:
        assert fetch_document(server.uri, LIMIT, 5) == b"abc"


def test_https(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path)
    with OriginServer(reply(b"{}"), serving) as server:
        assert fetch_document(server.uri, LIMIT, 5, tls=trusting) == b"{}"
        assert failure(server.uri) == "no answer: SSLCertVerificationError"


def test_a_certificate_for_somebody_else(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path, "127.0.0.2")
    with OriginServer(reply(b"{}"), serving) as server:
        assert failure(server.uri, tls=trusting) == "no answer: SSLCertVerificationError"
        assert not server.requests


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with OriginServer(reply(b"from the proxy")) as proxy, OriginServer(reply(b"direct")) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.uri)
        assert fetch_document(server.uri, LIMIT, 5) == b"direct"
        assert not proxy.requests


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_redirects_are_not_followed(status: str) -> None:
    with OriginServer(reply(b"elsewhere")) as target:
        with OriginServer(reply(b"", status, f"Location: {target.uri}")) as server:
            assert failure(server.uri) == f"status {status[:3]}"
        assert not target.requests


@pytest.mark.parametrize("status", ["204 No Content", "206 Partial", "401 No", "404 Not Found", "500 Oh", "503 Busy"])
def test_other_answers(status: str) -> None:
    with OriginServer(reply(b"{}", status)) as server:
        assert failure(server.uri) == f"status {status[:3]}"


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def endless_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Padding: " + b"x" * 1000 + b"\r\n")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (reply(b"x" * (LIMIT + 1)), "too large"),
        (reply(b"x" * 10_000_000), "too large"),
        (endless, "too large"),
        (endless_headers, "no answer: HTTPException"),
        (lambda connection: connection.sendall(b"x" * 100_000), "no answer: "),
        (lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), "cut short"),
        (
            lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "no ans",
        ),
        (lambda connection: connection.sendall(b"\x00\xff\r\n\r\n"), "no answer: BadStatusLine"),
        (lambda connection: connection.sendall(b"HTTP/1.1 abc\r\n\r\n"), "no answer: BadStatusLine"),
        (lambda connection: connection.close(), "no answer: "),
    ],
    ids=[
        "one too many",
        "10 MB",
        "endless",
        "endless headers",
        "garbage",
        "cut",
        "chunks",
        "binary",
        "status",
        "closed",
    ],
)
def test_bad_answers(script: Script, message: str) -> None:
    with OriginServer(script) as server:
        assert failure(server.uri, timeout=5).startswith(message)


def drip(prefix: bytes) -> Script:
    """Sends a byte again and again, faster than any timeout of a single read."""

    def script(connection: socket.socket) -> None:
        connection.sendall(prefix)
        while True:
            connection.sendall(b"a")
            threading.Event().wait(0.02)

    return script


@pytest.mark.parametrize(
    "prefix",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
)
@pytest.mark.parametrize("encrypted", [False, True], ids=["http", "https"])
def test_the_time_is_limited_as_a_whole(prefix: bytes, encrypted: bool, tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path) if encrypted else (None, None)
    with OriginServer(drip(prefix), serving) as server:
        assert failure(server.uri, tls=trusting) == "too slow"
        assert server.requests


def test_a_server_that_says_nothing() -> None:
    def silent(connection: socket.socket) -> None:
        connection.recv(1)

    with OriginServer(silent) as server:
        assert failure(server.uri) == "too slow"


def test_a_tls_handshake_that_does_not_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert failure(f"https://127.0.0.1:{listener.getsockname()[1]}/") == "too slow"


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert failure(f"http://127.0.0.1:{port}/") == "cannot connect: ConnectionRefusedError"
    assert failure("https://host.invalid/", timeout=5).startswith("cannot connect")


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    with OriginServer(reply(b"{}")) as server:
        for _ in range(5):
            fetch_document(server.uri, LIMIT, 60)
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(5)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert threading.active_count() <= before + 5


@pytest.mark.parametrize(
    "uri",
    ["https://idp.example/jwks", "https://idp.example", "https://[2001:db8::1]:8443/x?y", "http://127.0.0.1:1/",
     "http://127.9.9.9/", "http://[::1]:80/jwks", "http://localhost/jwks"],
)  # fmt: skip
def test_addresses_that_are_fine(uri: str) -> None:
    assert check_uri(uri).hostname


@pytest.mark.parametrize(
    "uri",
    ["", "jwks", "/jwks", "//idp.example/jwks", "https://", "https:///jwks", "http://idp.example/jwks", "ftp://127.0.0.1/",
     "http://localhost.example/", "http://128.0.0.1/", "http://10.0.0.1/", "http://127.0.0.1.example/", "file:///etc/passwd",
     "https://user:secret@idp.example/", "http://127.0.0.1@idp.example/", "https://idp.example/#x", "https://idp.example:0/",
     "https://idp.example:99999/", "https://idp.example:x/", "https://idp.example/a b", "https://idp.example/\r\nX: y",
     "https://idp.ex\u00e4mple/", "https://[::1/", "http://2130706433/", "HTTP://idp.example/"],
)  # fmt: skip
def test_addresses_that_are_not(uri: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some are the standard library's own
        check_uri(uri)
    with pytest.raises(ValueError):  # noqa: PT011 - some are the standard library's own
        fetch_document(uri, LIMIT, TIMEOUT)
