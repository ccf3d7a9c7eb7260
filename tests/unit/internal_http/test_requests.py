"""Requests and answers of the internal listener."""

import json
import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unit.internal_http.serving import BEARER, ROOT, TOKEN, Listener, everything, listening, status

AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n".encode()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    with listening() as started:
        yield started


def test_get(listener: Listener) -> None:
    response, content = listener.ask("GET", f"{ROOT}/acme", headers={**BEARER, "x-correlator": "c-1"})
    assert (response.status, content["name"]) == (200, "organizations/acme")
    assert response.headers["x-correlator"] == "c-1"
    assert response.headers["Content-Type"] == "application/json"


def test_patch(listener: Listener) -> None:
    body = json.dumps({"displayName": "Acme", "etag": "e1"})
    headers = {**BEARER, "Content-Type": "application/json"}
    response, content = listener.ask("PATCH", f"{ROOT}/acme?updateMask=displayName", body, headers)
    assert (response.status, content["displayName"], content["etag"]) == (200, "Acme", "")


@pytest.mark.parametrize(
    ("method", "target", "body", "code", "message"),
    [
        ("GET", f"{ROOT}/none", None, (404, "NOT_FOUND"), "There is no such resource."),
        ("GET", "/nowhere", None, (404, "NOT_FOUND"), "There is no such resource."),
        ("PATCH", f"{ROOT}/acme", '{"etag":"stale"}', (409, "ABORTED"), "The resource was changed"),
        ("POST", ROOT, "{}", (409, "ALREADY_EXISTS"), "There is such a resource already."),
        (
            "POST",
            f"{ROOT}/acme:suspend",
            None,
            (400, "FAILED_PRECONDITION"),
            "the organization is suspended already",
        ),
        ("PUT", f"{ROOT}/acme", None, (405, "METHOD_NOT_ALLOWED"), "This path does not know the method."),
    ],
)
def test_refusals(
    listener: Listener, method: str, target: str, body: str | None, code: tuple[int, str], message: str
) -> None:
    response, content = listener.ask(method, target, body, {**BEARER, "Content-Type": "application/json"})
    assert (response.status, content["status"], content["code"]) == (code[0], *code)
    assert content["message"].startswith(message)
    assert response.headers["x-correlator"]


def test_nobody_comes_in_unknown(listener: Listener) -> None:
    response, content = listener.ask("GET", f"{ROOT}/acme", headers={})
    assert (response.status, content["code"]) == (401, "UNAUTHENTICATED")
    response, _ = listener.ask("GET", f"{ROOT}/acme", headers={"Authorization": "Bearer another"})
    assert response.status == 401


@pytest.mark.parametrize(
    "header",
    [
        "number_verification.auth_context",
        "number-verification.auth-context",
        "SSL_CLIENT_S_DN_CN",
        "SSL-Client-S-DN-CN",
        "x509_common_name",
        "X-Forwarded-Client-Cert",
    ],
)
def test_a_header_names_nobody(listener: Listener, header: str) -> None:
    response, _ = listener.ask("GET", f"{ROOT}/acme", headers={header: "core.example"})
    assert response.status == 401


def test_two_tokens_are_none(listener: Listener) -> None:
    head = f"GET {ROOT}/acme HTTP/1.1\r\nConnection: close\r\n".encode()
    assert status(listener.send(head + AUTHORIZED + b"\r\n").replace(b'{"name', b'{"status":200,"name')) == 200
    assert status(listener.send(head + AUTHORIZED + b"Authorization: Bearer another\r\n\r\n")) == 401
    assert status(listener.send(head + b"Authorization: Bearer another\r\n" + AUTHORIZED + b"\r\n")) == 401


def test_an_underscore_stands_for_no_hyphen(listener: Listener) -> None:
    response, _ = listener.ask("GET", f"{ROOT}/acme", headers={**BEARER, "x_correlator": "mine"})
    assert response.headers["x-correlator"] != "mine"


def test_head_and_options(listener: Listener) -> None:
    response, content = listener.ask("HEAD", f"{ROOT}/acme")
    assert (response.status, content) == (200, None)
    assert int(response.headers["Content-Length"]) > 0
    response, _ = listener.ask("OPTIONS", f"{ROOT}/acme")
    assert (response.status, response.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, PATCH")
    assert "Content-Length" not in response.headers


def test_connections_are_kept(listener: Listener) -> None:
    connection = listener.connection()
    for number in range(3):
        connection.request("GET", f"{ROOT}/o{number}", headers=BEARER)
        assert json.loads(connection.getresponse().read())["name"] == f"organizations/o{number}"
        if number == 0:
            first = connection.sock
    assert connection.sock is first
    connection.close()


def test_requests_that_come_at_once_are_answered_in_turn(listener: Listener) -> None:
    one = f"GET {ROOT}/one HTTP/1.1\r\n".encode() + AUTHORIZED + b"\r\n"
    two = f"GET {ROOT}/two HTTP/1.1\r\nConnection: close\r\n".encode() + AUTHORIZED + b"\r\n"
    answer = listener.send(b"\r\n" + one + two)
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.index(b"organizations/one") < answer.index(b"organizations/two")


def test_targets_in_absolute_form(listener: Listener) -> None:
    head = f"GET http://internal.example:9092{ROOT}/acme HTTP/1.1\r\nConnection: close\r\n".encode()
    assert b"organizations/acme" in listener.send(head + AUTHORIZED + b"\r\n")


@pytest.mark.parametrize("encoded", ["a%3Asuspend", "a%3asuspend", "a%2Fpeople", "a%2fpeople", "%3A"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_encoded_delimiter_is_none(listener: Listener, method: str, encoded: str) -> None:
    """Not a verb, not the next part of a name, and no part of a name of ours."""
    response, content = listener.ask(method, f"{ROOT}/{encoded}")
    assert (response.status, content["code"]) == (404, "NOT_FOUND")
    assert response.headers["x-correlator"]


def test_a_verb_that_is_one(listener: Listener) -> None:
    assert listener.ask("POST", f"{ROOT}/acme:suspend")[1]["code"] == "FAILED_PRECONDITION"
    assert listener.ask("GET", f"{ROOT}/acme:suspend")[0].status == 405


HEAD = b"GET / HTTP/1.1\r\n"
MALFORMED = {
    "no request": b"garbage\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "a version to come": b"GET / HTTP/2.0\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method in lower case": b"get / HTTP/1.1\r\n\r\n",
    "bare line feeds": b"GET / HTTP/1.1\nHost: x\n\n",
    "a control character in the target": b"GET /\x00 HTTP/1.1\r\n\r\n",
    "bytes beyond ASCII in the target": b"GET /\xff HTTP/1.1\r\n\r\n",
    "a fragment": b"GET /#x HTTP/1.1\r\n\r\n",
    "an unfinished address": b"GET //[ HTTP/1.1x\r\n\r\n",
    "CONNECT": b"CONNECT x:1 HTTP/1.1\r\n\r\n",
    "a header without colon": HEAD + b"nonsense\r\n\r\n",
    "a header with a blank before its colon": HEAD + b"Host : x\r\n\r\n",
    "a folded header": HEAD + b"A: b\r\n c\r\n\r\n",
    "a control character in a header": HEAD + b"A: b\x00\r\n\r\n",
    "a carriage return in a header": HEAD + b"A: b\rC: d\r\n\r\n",
    "no name": HEAD + b": x\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "a signed length": HEAD + b"Content-Length: +1\r\n\r\na",
    "a length with an underscore": HEAD + b"Content-Length: 1_0\r\n\r\n",
    "a length of many digits": HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_http(listener: Listener, name: str) -> None:
    answer = listener.send(MALFORMED[name])
    assert status(answer) == 400
    for internals in (b"Traceback", b"heroot", b"Python", b"line "):
        assert internals not in answer


@pytest.mark.parametrize("coding", ["chunked", "gzip, chunked", "identity", ""])
@pytest.mark.parametrize("headers", [b"", b"Content-Length: 4\r\n"])
def test_transfer_codings_are_not_taken(listener: Listener, headers: bytes, coding: str) -> None:
    request = f"PATCH {ROOT}/a HTTP/1.1\r\nTransfer-Encoding: {coding}\r\n".encode() + headers + b"\r\n"
    assert status(listener.send(request + b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n")) == 411


@pytest.mark.parametrize(
    ("request_", "expected"),
    [(b"GET /" + b"a" * 300_000, 414), (HEAD + b"A: " + b"a" * 300_000, 431), (HEAD + b"A: b\r\n" * 60_000, 431)],
)
def test_heads_beyond_any_size(listener: Listener, request_: bytes, expected: int) -> None:
    assert status(listener.send(request_ + b"\r\n\r\n")) == expected


def test_a_body_beyond_the_limit(listener: Listener) -> None:
    body = json.dumps({"displayName": "a" * 20_000})
    response, content = listener.ask("PATCH", f"{ROOT}/a", body, {**BEARER, "Content-Type": "application/json"})
    assert (response.status, content["code"]) == (400, "INVALID_ARGUMENT")
    response, _ = listener.ask("PATCH", f"{ROOT}/a", body, {"Content-Type": "application/json"})
    assert response.status == 401


def test_a_body_that_is_announced_and_not_wanted_costs_no_memory_and_no_time(listener: Listener) -> None:
    head = f"PATCH {ROOT}/a HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".encode()
    answer = listener.send(head)
    assert status(answer) == 401
    assert b"Connection: close" in answer


def test_a_body_before_a_good_token_is_not_waited_for(listener: Listener) -> None:
    with socket.create_connection((listener.address.host, listener.address.port), timeout=5) as raw:
        raw.sendall(f"PATCH {ROOT}/a HTTP/1.1\r\nContent-Length: 9\r\n\r\n".encode())
        assert raw.recv(64).startswith(b"HTTP/1.1 401 ")


def test_half_a_body_is_no_body(listener: Listener) -> None:
    with socket.create_connection((listener.address.host, listener.address.port), timeout=5) as raw:
        head = f"PATCH {ROOT}/a HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n".encode()
        raw.sendall(head + AUTHORIZED + b"\r\n{}")
        raw.shutdown(socket.SHUT_WR)
        assert status(everything(raw)) == 400


_pieces = st.sampled_from(
    [
        b"GET / HTTP/1.1",
        b"\r\n",
        b"\n",
        b":",
        b" ",
        b"Content-Length",
        b"Transfer-Encoding: chunked",
        b"1",
        b"-",
        b"\x00",
    ]
)


@given(st.lists(st.binary(max_size=20) | _pieces, max_size=12).map(b"".join))
def test_any_bytes_are_answered_or_hung_up_on(listener: Listener, content: bytes) -> None:
    with socket.create_connection((listener.address.host, listener.address.port), timeout=10) as raw:
        raw.sendall(content)
        raw.shutdown(socket.SHUT_WR)
        answer = everything(raw)
    assert not answer or answer.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 5" not in answer
