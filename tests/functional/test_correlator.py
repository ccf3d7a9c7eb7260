"""x-correlator: every answer carries one."""

import re
import socket
import string
import uuid
from urllib.parse import urlsplit

import pytest

from functional.authorization import OAuthClient
from functional.service import Service, request
from functional.transports import BASE, Grpc, Rest, Transport

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ALLOWED = string.ascii_letters + string.digits + "-_:;./<>{}"


@pytest.mark.parametrize("correlator", ["a", ALLOWED, "a" * 256, "5f0c6a3e-7d0b-4d57-9d1c-2c1f6d0f4a11"])
def test_a_valid_one_comes_back(sandbox: Service, transport: Transport, correlator: str) -> None:
    headers = [("x-correlator", correlator)]
    assert transport.share(sandbox.external_token(), headers)[::2] == ("OK", correlator)
    assert transport.share(None, headers).correlator == correlator
    assert transport.share(sandbox.external_token(scope=""), headers).correlator == correlator
    refused = transport.verify(sandbox.external_token(), headers, phoneNumber="1")
    assert (refused.code, refused.correlator) == ("INVALID_ARGUMENT", correlator)


@pytest.mark.parametrize("headers", [[], [("x-correlator", "")]])
def test_without_one_there_is_a_new_one(sandbox: Service, transport: Transport, headers: list[tuple[str, str]]) -> None:
    correlators = {transport.share(sandbox.external_token(), headers).correlator for _ in range(3)}
    assert len(correlators) == 3
    assert all(UUID.fullmatch(correlator) for correlator in correlators)


@pytest.mark.parametrize(
    "correlator", ["a" * 257, "a b", "a,b", "a+b", "a@b", '"a"', "a|b", "a(b)", "a=b", "a~", "%0a", "a\\n"]
)
def test_an_invalid_one_is_refused_with_a_fresh_one(sandbox: Service, transport: Transport, correlator: str) -> None:
    outcome = transport.share(sandbox.external_token(), [("x-correlator", correlator)])
    assert outcome.code == "INVALID_ARGUMENT"
    assert UUID.fullmatch(outcome.correlator)
    assert correlator not in outcome.body["message"]


@pytest.mark.parametrize("pair", [("a", "b"), ("a", "a"), ("a", ""), ("", "a")])
def test_two_are_invalid(sandbox: Service, transport: Transport, pair: tuple[str, str]) -> None:
    outcome = transport.share(sandbox.external_token(), [("x-correlator", value) for value in pair])
    assert outcome.code == "INVALID_ARGUMENT"
    assert UUID.fullmatch(outcome.correlator)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/", 404),
        ("GET", f"{BASE}/nothing", 404),
        ("GET", f"{BASE}/verify", 405),
        ("PUT", "/oauth2/token", 405),
        ("POST", f"{BASE}/openapi.json", 405),
        ("OPTIONS", f"{BASE}/verify", 204),
        ("OPTIONS", "/oauth2/token", 204),
        ("HEAD", f"{BASE}/device-phone-number", 401),
        ("GET", f"{BASE}/openapi.json", 200),
        ("GET", f"{BASE}/openapi.yaml", 200),
        ("GET", "/.well-known/openid-configuration", 200),
        ("GET", "/oauth2/jwks", 200),
        ("GET", "/oauth2/authorize", 400),
        ("POST", "/oauth2/token", 400),
    ],
)
def test_every_answer_carries_one(sandbox: Service, method: str, target: str, status: int) -> None:
    root = sandbox.description["issuer"]
    answer = request(root, method, target, [("x-correlator", "mine-{1}")])
    assert (answer.status, answer.headers["x-correlator"]) == (status, "mine-{1}")
    for headers in ([], [("x-correlator", "not allowed")]):
        answer = request(root, method, target, headers)
        assert UUID.fullmatch(answer.headers["x-correlator"])


def test_a_redirect_and_a_token_carry_one(oauth: OAuthClient) -> None:
    mine = [("x-correlator", "mine")]
    redirect = oauth.authorize(headers=mine)
    assert (redirect.status, redirect.headers["x-correlator"]) == (302, "mine")
    token = oauth.redeem(oauth.code(), headers=mine)
    assert (token.status, token.headers["x-correlator"]) == (200, "mine")


def test_what_only_the_operator_learns_is_found_by_it(sandbox: Service, transport: Transport) -> None:
    correlator = f"find-me-{uuid.uuid4()}"
    transport.share("a" * 43, [("x-correlator", correlator)])
    line = sandbox.logged(correlator)
    assert (line["code"], line["reason"], line["transport"]) == ("UNAUTHENTICATED", "token_unknown", transport.name)


@pytest.mark.parametrize("correlator", ["\xe9", "a\tb"])
def test_what_a_grpc_client_does_not_send(sandbox: Service, rest: Rest, correlator: str) -> None:
    # The HTTP server may drop what is no text. It is never echoed.
    outcome = rest.share(sandbox.external_token(), [("x-correlator", correlator)])
    assert UUID.fullmatch(outcome.correlator)


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n b", "\x00"])
def test_lines_cannot_be_smuggled_in(sandbox: Service, ending: str) -> None:
    """A pattern that ends with `$` would let a newline through; the HTTP server refuses it in front of us."""
    address = urlsplit(sandbox.description["api_root"])
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        head = f"GET {BASE}/device-phone-number HTTP/1.1\r\nHost: x\r\nX-Correlator: mine{ending}\r\n"
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).lower()
    assert answer.startswith((b"http/1.1 400", b"http/1.1 401"))
    assert b"x-correlator: mine" not in answer or ending == "\n"


def test_a_binary_neighbour_means_nothing(sandbox: Service, grpc_api: Grpc) -> None:
    headers = [("x-correlator-bin", b"\x00")]
    assert UUID.fullmatch(grpc_api.share(sandbox.external_token(), headers).correlator)  # type: ignore[arg-type]
