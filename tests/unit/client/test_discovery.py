import dataclasses
import ssl
from pathlib import Path

import httpx
import pytest

from number_verification_client import (
    Provider,
    ResponseRejected,
    Unavailable,
)
from unit.client.certificates import Authority
from unit.client.provider import DISCOVERY, AuthorizationServer, discover, running_provider


def test_discovery(face: str, server: AuthorizationServer) -> None:
    provider = discover(face, server.issuer)
    assert dataclasses.asdict(provider) == server.metadata
    assert [asked.path for asked in server.asked] == [DISCOVERY]


@pytest.mark.parametrize("claimed", ["https://other.example", "trailing slash", None, 5])
def test_discovery_of_another_issuer(face: str, server: AuthorizationServer, claimed: object) -> None:
    server.metadata["issuer"] = server.issuer + "/" if claimed == "trailing slash" else claimed
    with pytest.raises(ResponseRejected) as caught:
        discover(face, server.issuer)
    assert caught.value.reason == "ISSUER_MISMATCH"


@pytest.mark.parametrize(
    "issuer",
    [
        "http://op.example",
        "http://127.0.0.1.op.example",
        "http://192.0.2.1",
        "ftp://127.0.0.1",
        "op.example",
        "",
        "https://",
        "https://user:secret@op.example",
        "https://op.example?tenant=1",
        "https://op.example#part",
        "https://op.example?",
        "https://op.example\n",
    ],
)
def test_an_unsafe_issuer_is_not_asked(face: str, issuer: str) -> None:
    with pytest.raises(ValueError, match="issuer"):
        discover(face, issuer)


@pytest.mark.parametrize("endpoint", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize("value", [None, 5, "", "http://op.example/x", "//op.example/x", "https://op.example/#x"])
def test_metadata_with_an_unsafe_endpoint(face: str, server: AuthorizationServer, endpoint: str, value: object) -> None:
    server.metadata[endpoint] = value
    with pytest.raises(ResponseRejected) as caught:
        discover(face, server.issuer)
    assert caught.value.reason == "METADATA_INVALID"


def test_discovery_over_tls(tmp_path: Path) -> None:
    authority = Authority()
    trusting = ssl.create_default_context(cadata=authority.pem.decode())
    with running_provider(authority.server_context("localhost", tmp_path)) as server:
        with httpx.Client(verify=trusting) as http:
            assert Provider.discover(server.issuer, http=http).issuer == server.issuer
        with pytest.raises(Unavailable) as caught:
            Provider.discover(server.issuer)
        assert not caught.value.token_may_be_used
        server.metadata["token_endpoint"] = "http://127.0.0.1/token"
        with httpx.Client(verify=trusting) as http, pytest.raises(ResponseRejected):
            Provider.discover(server.issuer, http=http)
