import dataclasses
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from number_verification_client import (
    NumberVerificationError,
    OAuthError,
    Provider,
    ResourceExhausted,
    ResponseRejected,
    TokenResponse,
    Unavailable,
)
from unit.client.provider import (
    ACCESS_TOKEN,
    CLIENT_ID,
    KEY,
    REDIRECT_URI,
    SCOPES,
    TOKEN_PATH,
    AuthorizationServer,
    Reply,
    exchange,
    refused,
)


def test_exchange(face: str, server: AuthorizationServer) -> None:
    server.tokens["scope"] = "granted scope"
    request = Provider(**server.metadata).authorization_request(CLIENT_ID, REDIRECT_URI, SCOPES)
    tokens = exchange(face, server, request=request)
    assert tokens == TokenResponse(ACCESS_TOKEN, 300, "granted scope", None, {})
    [asked] = server.asked
    assertion = asked.form.pop("client_assertion")
    assert asked.form == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": REDIRECT_URI,
        "client_id": CLIENT_ID,
        "code_verifier": request.code_verifier,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    claims = jwt.decode(assertion, ECKey.import_key(KEY.as_dict(private=False)), algorithms=["ES256"]).claims
    assert claims["aud"] == server.metadata["token_endpoint"]
    assert asked.headers["accept-encoding"] == "identity"
    assert "authorization" not in asked.headers


def test_a_scope_that_is_not_told_is_the_one_asked_for(face: str, server: AuthorizationServer) -> None:
    assert exchange(face, server).scope == " ".join(SCOPES)


def test_a_request_of_another_provider_is_not_sent(face: str, server: AuthorizationServer) -> None:
    other = dataclasses.replace(Provider(**server.metadata), issuer="https://other.example")
    foreign = other.authorization_request(CLIENT_ID, REDIRECT_URI, SCOPES)
    with pytest.raises(ValueError, match="another provider"):
        exchange(face, server, request=foreign)
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, "invalid_grant"), (401, "invalid_client"), (400, "invalid_scope"), (403, "access_denied")],
)
def test_the_provider_refuses(face: str, server: AuthorizationServer, status: int, error: str) -> None:
    server.replies[TOKEN_PATH] = Reply.json({"error": error, "error_description": "x" * 600}, status)
    refusal = refused(face, server)
    assert type(refusal) is OAuthError
    assert (refusal.error, refusal.description) == (error, "x" * 512)


def test_a_description_that_is_no_text(face: str, server: AuthorizationServer) -> None:
    server.replies[TOKEN_PATH] = Reply.json({"error": "invalid_grant", "error_description": {}}, 400)
    refusal = refused(face, server)
    assert isinstance(refusal, OAuthError)
    assert refusal.description == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7.0), ("0", 0.0), ("", None), ("-1", None), ("soon", None), ("٧", None), ("9" * 20, None)],
)
@pytest.mark.parametrize(("status", "kind"), [(429, ResourceExhausted), (503, Unavailable)])
def test_the_provider_asks_to_wait(
    face: str,
    server: AuthorizationServer,
    status: int,
    kind: type[NumberVerificationError],
    text: str,
    seconds: float | None,
) -> None:
    encoded = text.encode().decode("latin-1")  # http.server writes headers as Latin-1
    server.replies[TOKEN_PATH] = Reply.json({"error": "temporarily_unavailable"}, status, {"Retry-After": encoded})
    refusal = refused(face, server)
    assert type(refusal) is kind
    assert refusal.retry_after == seconds


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "line\n"},
        {"access_token": 5},
        {"token_type": None},
        {"token_type": "DPoP"},
        {"expires_in": None},
        {"expires_in": "300"},
        {"expires_in": True},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": 1.5},
        {"scope": ["a"]},
        {"id_token": 5},
    ],
)
def test_a_malformed_token_response(face: str, server: AuthorizationServer, change: dict[str, Any]) -> None:
    server.tokens |= change
    refusal = refused(face, server)
    assert type(refusal) is ResponseRejected
    assert refusal.reason == "MALFORMED_ANSWER"
    assert ACCESS_TOKEN not in str(refusal)


def test_the_token_type_is_read_in_either_case(face: str, server: AuthorizationServer) -> None:
    server.tokens["token_type"] = "bearer"
    assert exchange(face, server).access_token == ACCESS_TOKEN


def test_representations_hide_secrets(server: AuthorizationServer) -> None:
    request = Provider(**server.metadata).authorization_request(CLIENT_ID, REDIRECT_URI, [*SCOPES, "openid"])
    server.tokens["id_token"] = server.signed(server.claims(CLIENT_ID, request.nonce))
    tokens = exchange("sync", server, request=request)
    assert tokens.id_token
    seen = f"{request!r} {request!s} {tokens!r} {tokens!s}"
    for secret in (
        request.state,
        request.nonce,
        request.code_verifier,
        request.url,
        tokens.access_token,
        tokens.id_token,
        "u1",
    ):
        assert secret not in seen
