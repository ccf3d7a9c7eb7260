import base64
import dataclasses
import hashlib
import json
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from number_verification_client import (
    AuthorizationRequest,
    NumberVerificationError,
    OAuthError,
    Provider,
    ResponseRejected,
    parse_callback,
)
from unit.client.provider import CLIENT_ID, PURPOSE, REDIRECT_URI, SCOPES

PROVIDER = Provider(
    "https://op.example", "https://op.example/authorize", "https://op.example/token", "https://op.example/jwks"
)
REQUEST = PROVIDER.authorization_request(CLIENT_ID, REDIRECT_URI, SCOPES)


def test_authorization_request() -> None:
    parts = urlsplit(REQUEST.url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == PROVIDER.authorization_endpoint
    digest = hashlib.sha256(REQUEST.code_verifier.encode()).digest()
    assert parse_qs(parts.query) == {
        "response_type": ["code"],
        "client_id": [CLIENT_ID],
        "redirect_uri": [REDIRECT_URI],
        "scope": [" ".join(SCOPES)],
        "state": [REQUEST.state],
        "nonce": [REQUEST.nonce],
        "code_challenge": [base64.urlsafe_b64encode(digest).decode().rstrip("=")],
        "code_challenge_method": ["S256"],
    }
    assert len(REQUEST.code_verifier) >= 43


def test_every_authorization_request_has_secrets_of_its_own() -> None:
    other = PROVIDER.authorization_request(CLIENT_ID, REDIRECT_URI, SCOPES)
    secrets = [r for request in (REQUEST, other) for r in (request.state, request.nonce, request.code_verifier)]
    assert len(set(secrets)) == 6


def test_an_endpoint_with_a_query_keeps_it() -> None:
    provider = dataclasses.replace(PROVIDER, authorization_endpoint="https://op.example/authorize?tenant=1")
    query = parse_qs(urlsplit(provider.authorization_request(CLIENT_ID, REDIRECT_URI, SCOPES).url).query)
    assert query["tenant"] == ["1"]
    assert query["client_id"] == [CLIENT_ID]


@pytest.mark.parametrize(
    "scopes",
    [
        [],
        " ".join(SCOPES),
        PURPOSE,
        ["number-verification:verify"],
        [PURPOSE, "dpv:Marketing"],
        ["dpv:"],
        [PURPOSE, PURPOSE],
        [PURPOSE, "openid", "openid"],
        [PURPOSE, "two words"],
        [PURPOSE, ""],
        [PURPOSE, 'quo"ted'],
        [PURPOSE, "line\n"],
    ],
)
def test_scopes_must_hold_one_purpose(scopes: Any) -> None:
    with pytest.raises(ValueError, match="scope"):
        PROVIDER.authorization_request(CLIENT_ID, REDIRECT_URI, scopes)


def test_an_authorization_request_survives_a_store() -> None:
    assert AuthorizationRequest(**json.loads(json.dumps(dataclasses.asdict(REQUEST)))) == REQUEST


def callback(**changes: str | None) -> str:
    parameters = {"code": "the-code", "state": REQUEST.state, "iss": REQUEST.issuer} | changes
    return f"{REDIRECT_URI}?{urlencode({name: value for name, value in parameters.items() if value is not None})}"


def test_callback() -> None:
    assert parse_callback(callback(), REQUEST) == "the-code"
    assert parse_callback(callback(unknown="parameter"), REQUEST) == "the-code"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (callback(state=None), "STATE_MISMATCH"),
        (callback(state=""), "STATE_MISMATCH"),
        (callback(state="other"), "STATE_MISMATCH"),
        (callback(state=REQUEST.state + "x"), "STATE_MISMATCH"),
        (callback(state="ü"), "STATE_MISMATCH"),
        (callback(state="other", code=None, error="access_denied"), "STATE_MISMATCH"),
        (callback(iss=None), "ISSUER_MISMATCH"),
        (callback(iss="https://evil.example"), "ISSUER_MISMATCH"),
        (callback(iss=REQUEST.issuer + "/"), "ISSUER_MISMATCH"),
        (callback(iss="https://evil.example", code=None, error="access_denied"), "ISSUER_MISMATCH"),
        (callback(code=None), "MALFORMED_ANSWER"),
        (callback(code=""), "MALFORMED_ANSWER"),
        (callback() + "&code=second", "MALFORMED_ANSWER"),
        (callback() + "&state=second", "MALFORMED_ANSWER"),
        (callback() + "&" + "&".join(f"a{n}=1" for n in range(40)), "MALFORMED_ANSWER"),
        (callback() + "&x=%ff", "MALFORMED_ANSWER"),
        ("https://[bad?" + callback(), "MALFORMED_ANSWER"),
        (callback().replace("?", "#"), "STATE_MISMATCH"),
        ("", "STATE_MISMATCH"),
    ],
    ids=count(),
)
def test_a_callback_that_does_not_hold(url: str, reason: str) -> None:
    with pytest.raises(ResponseRejected) as caught:
        parse_callback(url, REQUEST)
    assert caught.value.reason == reason
    assert "the-code" not in str(caught.value)
    assert REQUEST.state not in str(caught.value)


@pytest.mark.parametrize("error", ["access_denied", "consent_required", "invalid_scope"])
def test_a_callback_with_an_error(error: str) -> None:
    with pytest.raises(OAuthError) as caught:
        parse_callback(callback(code=None, error=error, error_description="for\npeople"), REQUEST)
    assert (caught.value.error, caught.value.reason, caught.value.description) == (error, error, "forpeople")


def test_an_error_beats_a_code() -> None:
    with pytest.raises(OAuthError):
        parse_callback(callback(error="access_denied"), REQUEST)


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=200))
def test_any_callback_is_refused_in_order(text: str) -> None:
    for url in (text, f"{REDIRECT_URI}?{text}", callback() + text):
        try:
            code = parse_callback(url, REQUEST)
        except NumberVerificationError:
            continue
        assert code.startswith("the-code")
