import asyncio
import gzip
import socket
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest

from number_verification_client import (
    NumberVerificationError,
    Provider,
    ResponseRejected,
    Timeout,
    Unavailable,
)
from number_verification_client._http import Answer, Outgoing
from unit.client.provider import (
    CLIENT_ID,
    DISCOVERY,
    KEY,
    REDIRECT_URI,
    SCOPES,
    TOKEN_PATH,
    AuthorizationServer,
    Reply,
    discover,
    refused,
    running_provider,
)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def silence(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.settimeout(5)
    handler.connection.recv(1)


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def half(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    handler.connection.shutdown(socket.SHUT_RDWR)


def nonsense(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")


def many_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        handler.wfile.write(b"X-%d: %s\r\n" % (number, b"x" * 100))


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(10_000):
        handler.wfile.write(b" " * 10_000)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(100):
        handler.wfile.write(b"x")
        time.sleep(0.05)


BAD_ANSWERS: list[tuple[str, Any, type[NumberVerificationError]]] = [
    ("drip", drip, Timeout),
    ("silence", silence, Timeout),
    ("hang_up", hang_up, Unavailable),
    ("half", half, Unavailable),
    ("nonsense", nonsense, Unavailable),
    ("many_headers", many_headers, Unavailable),
    ("endless", endless, ResponseRejected),
    ("no_json", Reply(200, b"<html>"), ResponseRejected),
    ("list", Reply.json([]), ResponseRejected),
    ("not_utf8", Reply(200, b'{"a": "\xff"}'), ResponseRejected),
    ("deep", Reply(200, b"[" * 60_000), ResponseRejected),
    ("deep_object", Reply(200, b'{"a":' * 12_000), ResponseRejected),
    ("large", Reply(200, b" " * 70_000), ResponseRejected),
    ("gzip", Reply(200, gzip.compress(b"{}"), {"Content-Encoding": "gzip"}), ResponseRejected),
    ("redirect", Reply(302, b"", {"Location": "/elsewhere"}), ResponseRejected),
    ("no_content", Reply(204, b""), ResponseRejected),
    ("odd_error", Reply.json({"error": {"code": 1}}, 400), ResponseRejected),
    ("html_404", Reply(404, b"<html>"), ResponseRejected),
    ("html_502", Reply(502, b"<html>"), Unavailable),
]


@pytest.mark.parametrize(("reply", "kind"), [(r, k) for _, r, k in BAD_ANSWERS], ids=[n for n, _, _ in BAD_ANSWERS])
def test_bad_answers(face: str, server: AuthorizationServer, reply: Any, kind: type[NumberVerificationError]) -> None:
    server.replies = {DISCOVERY: reply, TOKEN_PATH: reply}
    start = time.monotonic()
    with pytest.raises(kind):
        discover(face, server.issuer, timeout=0.5)
    error = refused(face, server, timeout=0.5)
    assert type(error) is kind
    assert error.token_may_be_used
    assert time.monotonic() - start < 4
    assert [asked.path for asked in server.asked] == [DISCOVERY, TOKEN_PATH]


def test_a_server_that_is_gone_leaves_the_code_whole(face: str) -> None:
    with running_provider() as server:
        pass
    error = refused(face, server)
    assert type(error) is Unavailable
    assert not error.token_may_be_used


def test_redirects_are_not_followed_even_by_a_client_that_would(server: AuthorizationServer) -> None:
    server.replies[TOKEN_PATH] = Reply.json(server.tokens, 307, {"Location": server.issuer + "/elsewhere"})
    with httpx.Client(follow_redirects=True) as http:
        assert type(refused("sync", server, http=http)) is ResponseRejected

    async def exchanging() -> None:
        provider = Provider(**server.metadata)
        request = provider.authorization_request(CLIENT_ID, REDIRECT_URI, SCOPES)
        async with httpx.AsyncClient(follow_redirects=True) as http:
            with pytest.raises(ResponseRejected):
                await provider.exchange_code_async("the-code", request, KEY, http=http)

    asyncio.run(exchanging())
    assert {asked.path for asked in server.asked} == {TOKEN_PATH}


def test_a_client_of_the_caller_stays_open(server: AuthorizationServer) -> None:
    with httpx.Client() as http:
        Provider.discover(server.issuer, http=http)
        assert not http.is_closed


def test_what_is_sent_and_received_hides_secrets() -> None:
    assert "secret" not in repr(Outgoing("https://op.example", {"code": "secret"}))
    assert "secret" not in repr(Answer(200, httpx.Headers({"a": "secret"}), b"secret"))


def test_a_large_answer_is_not_taken_in(face: str, server: AuthorizationServer) -> None:
    server.metadata["more"] = "x" * 64 * 1024
    with pytest.raises(ResponseRejected, match="large"):
        discover(face, server.issuer)


def test_the_deadline_of_an_async_exchange_holds_for_headers_too(server: AuthorizationServer) -> None:
    server.replies[DISCOVERY] = drip_headers
    start = time.monotonic()
    with pytest.raises(Timeout):
        discover("async", server.issuer, timeout=0.3)
    assert time.monotonic() - start < 3
