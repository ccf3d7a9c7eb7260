"""The token endpoint: a code, and proof of who the client is, for one access token."""

import hashlib
import json
import os
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

from functional.authorization import VERIFIER, OAuthClient
from functional.gateway import Attachment, Gateway
from functional.service import PURPOSE, READ_SCOPE, VERIFY_SCOPE, Service, request
from functional.serving import Setup, running_service
from functional.transports import Rest, Transport

DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")


@pytest.fixture(scope="module")
def two_clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with two applications and one device."""
    directory = tmp_path_factory.mktemp("service")
    with running_service(directory, Setup(directory / "data")) as service:
        Gateway(service).start(DEVICE)
        yield service


def refusal(answer: Any) -> tuple[int, str]:
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json) == {"error", "error_description"}
    return answer.status, answer.json["error"]


def test_an_access_token_for_a_code(oauth: OAuthClient) -> None:
    answer = oauth.redeem(oauth.code())
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    content = answer.json
    assert set(content) == {"access_token", "token_type", "expires_in", "scope", "id_token"}
    assert content["token_type"] == "Bearer"
    assert 0 < content["expires_in"] <= 300
    assert set(content["scope"].split()) == set(oauth.parameters()["scope"].split())
    assert oauth.service.partner.phone_number_of("phone-1")[1:] not in answer.body.decode()


def test_without_openid_there_is_no_id_token(oauth: OAuthClient) -> None:
    answer = oauth.redeem(oauth.code(scope=f"{PURPOSE} {VERIFY_SCOPE}"))
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}


def test_the_token_holds_what_was_asked_for_and_no_more(oauth: OAuthClient, transport: Transport) -> None:
    scope = f"{PURPOSE} {VERIFY_SCOPE}"
    assert transport.share(oauth.token(scope=scope)).code == "PERMISSION_DENIED"
    assert transport.verify(oauth.token(scope=scope), phoneNumber="+990000000000").code == "OK"
    assert transport.verify(oauth.token(scope=f"{PURPOSE} {READ_SCOPE}"), phoneNumber="+990000000000").code == (
        "PERMISSION_DENIED"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": None},
        {"redirect_uri": "http://127.0.0.1:9999/callback/"},
        {"redirect_uri": "http://evil.example/"},
        {"code_verifier": None},
        {"code_verifier": "wrong" * 10},
        {"code_verifier": VERIFIER + "x"},
        {"code_verifier": VERIFIER.upper()},
        {"code_verifier": "\xe9" * 43},
        {"code": "a" * 43},
        {"code": "x"},
        {"code": "\xe9"},
        {"code": "c" * 10_000},
    ],
)
def test_a_grant_that_is_not_good(oauth: OAuthClient, changes: dict[str, Any]) -> None:
    assert refusal(oauth.redeem(oauth.code(), **changes)) == (400, "invalid_grant")


def test_the_challenge_is_not_the_verifier(oauth: OAuthClient) -> None:
    """As it would be with the method `plain`."""
    code = oauth.code(code_challenge=urlsafe_b64encode(bytes(32)).rstrip(b"=").decode())
    answer = oauth.redeem(code, code_verifier=urlsafe_b64encode(bytes(32)).rstrip(b"=").decode())
    assert refusal(answer) == (400, "invalid_grant")


def test_every_bad_grant_looks_the_same(oauth: OAuthClient) -> None:
    used = oauth.code()
    assert oauth.redeem(used).status == 200
    answers = {
        oauth.redeem(used).body,
        oauth.redeem("a" * 43).body,
        oauth.redeem(oauth.code(), code_verifier="wrong" * 10).body,
        oauth.redeem(oauth.code(), redirect_uri="http://x.example/").body,
    }
    assert len(answers) == 1


def test_a_failed_try_uses_the_code_up(oauth: OAuthClient) -> None:
    code = oauth.code()
    assert refusal(oauth.redeem(code, code_verifier="wrong" * 10)) == (400, "invalid_grant")
    assert refusal(oauth.redeem(code)) == (400, "invalid_grant")


def test_a_client_that_is_not_authenticated_costs_no_code(oauth: OAuthClient) -> None:
    code = oauth.code()
    assert refusal(oauth.redeem(code, client_assertion="x.y.z")) == (401, "invalid_client")
    assert oauth.redeem(code).status == 200


def test_a_second_use_of_a_code_revokes_the_token(oauth: OAuthClient, transport: Transport) -> None:
    """RFC 6749 §4.1.2. Seen to fail with the revocation left out: the token of the first use still works."""
    code = oauth.code()
    first = oauth.redeem(code)
    assert refusal(oauth.redeem(code)) == (400, "invalid_grant")
    assert transport.share(first.json["access_token"]).code == "UNAUTHENTICATED"


def test_a_third_use_is_as_harmless(oauth: OAuthClient, rest: Rest) -> None:
    code = oauth.code()
    token = oauth.redeem(code).json["access_token"]
    assert rest.share(token).code == "OK"
    for _ in range(2):
        assert refusal(oauth.redeem(code)) == (400, "invalid_grant")


def test_a_code_that_many_exchange_at_once(oauth: OAuthClient, rest: Rest) -> None:
    """At most one gets a token, and whoever came second has revoked it."""
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            code = oauth.code()
            forms = [urlencode(oauth.form(code)).encode() for _ in range(4)]
            answers = list(pool.map(oauth.post_token, forms))
            tokens = [answer.json["access_token"] for answer in answers if answer.status == 200]
            assert len(tokens) <= 1
            for token in tokens:
                assert rest.share(token).code == "UNAUTHENTICATED"


def test_the_code_of_another_client(two_clients: Service) -> None:
    owner, thief = OAuthClient(two_clients, 0), OAuthClient(two_clients, 1)
    code = owner.code(DEVICE.address)
    assert refusal(thief.redeem(code)) == (400, "invalid_grant")
    # Whoever tried may have the code from anywhere: it is worth nothing to anybody now.
    assert refusal(owner.redeem(code)) == (400, "invalid_grant")
    assert owner.redeem(owner.code(DEVICE.address)).status == 200


def test_subjects_are_pairwise(two_clients: Service) -> None:
    """The same user is somebody else to another client, and the same to the same one (OpenID Connect Core §8.1)."""
    subjects = []
    for index in (0, 0, 1):
        client = OAuthClient(two_clients, index)
        subjects.append(id_token(client, client.redeem(client.code(DEVICE.address)).json["id_token"])["sub"])
    assert subjects[0] == subjects[1] != subjects[2]


def id_token(oauth: OAuthClient, token: str) -> dict[str, Any]:
    """The claims of an ID token whose signature is one of the published keys'."""
    published = request(oauth.issuer, "GET", "/oauth2/jwks").json
    checked = jws.deserialize_compact(token, KeySet.import_key_set(published), algorithms=["ES256"])
    claims: dict[str, Any] = json.loads(checked.payload)
    return claims


def test_the_id_token(oauth: OAuthClient, sandbox: Service) -> None:
    answer = oauth.redeem(oauth.code(nonce="a nonce"))
    claims = id_token(oauth, answer.json["id_token"])
    now = time.time()
    assert claims["iss"] == oauth.issuer
    assert claims["aud"] == oauth.registered["client_id"]
    assert claims["nonce"] == "a nonce"
    assert claims["amr"] == ["nba"]
    assert now - 5 <= claims["auth_time"] <= claims["iat"] <= now
    assert now < claims["exp"] <= now + 300
    half = hashlib.sha256(answer.json["access_token"].encode()).digest()[:16]
    assert claims["at_hash"] == urlsafe_b64encode(half).rstrip(b"=").decode()
    assert set(claims) == {"iss", "sub", "aud", "iat", "exp", "auth_time", "amr", "at_hash", "nonce"}
    number = sandbox.partner.phone_number_of("phone-1")
    assert number[1:] not in json.dumps(claims)
    for guess in (number, number[1:], f"tel:{number}"):
        assert urlsafe_b64encode(hashlib.sha256(guess.encode()).digest()).rstrip(b"=").decode() != claims["sub"]


def test_without_nonce_there_is_none(oauth: OAuthClient) -> None:
    assert "nonce" not in id_token(oauth, oauth.redeem(oauth.code(nonce=None)).json["id_token"])


ASSERTIONS: dict[str, dict[str, Any]] = {
    "iss missing": {"iss": None},
    "sub missing": {"sub": None},
    "aud missing": {"aud": None},
    "exp missing": {"exp": None},
    "iat missing": {"iat": None},
    "jti missing": {"jti": None},
    "iss of another": {"iss": "nobody"},
    "sub of another": {"sub": "nobody"},
    "both of another": {"iss": "nobody", "sub": "nobody"},
    "aud of another": {"aud": "https://other.example"},
    "aud is the API": {"aud": "http://127.0.0.1/number-verification/v2"},
    "aud empty": {"aud": []},
    "aud malformed": {"aud": {"x": 1}},
    "jti empty": {"jti": ""},
    "jti malformed": {"jti": 1},
    "exp malformed": {"exp": "tomorrow"},
}


@pytest.mark.parametrize("case", ASSERTIONS)
def test_an_assertion_with_wrong_claims(oauth: OAuthClient, case: str) -> None:
    assertion = oauth.assertion(**ASSERTIONS[case])
    assert refusal(oauth.redeem("x", client_assertion=assertion)) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("issued", "expires", "good"),
    [(0, 60, True), (0, 299, True), (0, 301, False), (0, 10**6, False), (-60, -10, False), (60, 120, False)],
)
def test_the_times_of_an_assertion(oauth: OAuthClient, issued: int, expires: int, good: bool) -> None:
    now = int(time.time())
    answer = oauth.redeem("x", client_assertion=oauth.assertion(iat=now + issued, exp=now + expires))
    assert refusal(answer) == ((400, "invalid_grant") if good else (401, "invalid_client"))


@pytest.mark.parametrize("audience", ["issuer", "token endpoint", "list"])
def test_what_an_assertion_may_be_meant_for(oauth: OAuthClient, audience: str) -> None:
    meant: dict[str, object] = {
        "issuer": oauth.issuer,
        "token endpoint": f"{oauth.issuer}/oauth2/token",
        "list": ["https://other.example", oauth.issuer],
    }
    assert oauth.redeem(oauth.code(), client_assertion=oauth.assertion(aud=meant[audience])).status == 200


def test_an_assertion_serves_once(oauth: OAuthClient) -> None:
    assertion = oauth.assertion()
    assert oauth.redeem(oauth.code(), client_assertion=assertion).status == 200
    assert refusal(oauth.redeem(oauth.code(), client_assertion=assertion)) == (401, "invalid_client")


def test_a_jti_serves_once(oauth: OAuthClient) -> None:
    jti = os.urandom(8).hex()
    assert oauth.redeem(oauth.code(), client_assertion=oauth.assertion(jti=jti)).status == 200
    now = int(time.time())
    again = oauth.assertion(jti=jti, iat=now - 1, exp=now + 100)
    assert refusal(oauth.redeem(oauth.code(), client_assertion=again)) == (401, "invalid_client")


def test_the_jti_s_of_two_clients_do_not_meet(two_clients: Service) -> None:
    jti = os.urandom(8).hex()
    for index in (0, 1):
        client = OAuthClient(two_clients, index)
        code = client.code(DEVICE.address)
        assert client.redeem(code, client_assertion=client.assertion(jti=jti)).status == 200


def test_an_assertion_signed_with_another_key(oauth: OAuthClient, sandbox: Service) -> None:
    issuer_key = ECKey.import_key(sandbox.description["external_issuer"]["private_jwk"])
    stranger = ECKey.generate_key("P-256", auto_kid=True)
    public = stranger.as_dict(private=False)
    for assertion in (
        oauth.assertion(stranger),
        oauth.assertion(issuer_key),
        oauth.assertion(stranger, {"kid": None}),
        oauth.assertion(stranger, {"jwk": public}),
        oauth.assertion(stranger, {"kid": public["kid"], "jwk": public}),
        oauth.assertion(stranger, {"jku": "http://127.0.0.1:9/"}),
        oauth.assertion(RSAKey.generate_key(2048), {"alg": "RS256"}),
        oauth.assertion(OctKey.import_key(os.urandom(32)), {"alg": "HS256"}),
        oauth.assertion(OctKey.import_key(os.urandom(64)), {"alg": "HS512"}),
        oauth.assertion().rpartition(".")[0] + ".",
        sandbox.external_token(),
        "",
        "x",
        "a.b.c",
        "a" * 50_000,
    ):
        assert refusal(oauth.redeem("x", client_assertion=assertion)) == (401, "invalid_client")


def test_an_unknown_client_looks_like_a_wrong_key(oauth: OAuthClient) -> None:
    stranger = ECKey.generate_key("P-256")
    known = oauth.redeem("x", client_assertion=oauth.assertion(stranger))
    unknown = oauth.redeem("x", client_assertion=oauth.assertion(stranger, iss="nobody", sub="nobody"))
    assert known.body == unknown.body


def test_the_assertion_of_one_client_for_another(two_clients: Service) -> None:
    first, second = OAuthClient(two_clients, 0), OAuthClient(two_clients, 1)
    key = ECKey.import_key(second.registered["private_jwk"])
    forged = first.assertion(key, {"kid": second.registered["private_jwk"]["kid"]})
    assert refusal(first.redeem("x", client_assertion=forged)) == (401, "invalid_client")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_assertion": None},
        {"client_assertion_type": None},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {"client_id": "somebody-else"},
        {"client_assertion": None, "client_assertion_type": None, "client_id": "bank"},
        {"client_assertion": None, "client_assertion_type": None, "client_id": "bank", "client_secret": "x"},
    ],
)
def test_no_other_client_authentication(oauth: OAuthClient, changes: dict[str, Any]) -> None:
    assert refusal(oauth.redeem("x", **changes)) == (401, "invalid_client")


def test_the_client_id_beside_the_assertion(oauth: OAuthClient) -> None:
    assert oauth.redeem(oauth.code(), client_id=oauth.registered["client_id"]).status == 200


def test_client_secret_basic_is_refused(oauth: OAuthClient) -> None:
    """Also beside a good assertion: a client uses one method (RFC 6749 §2.3)."""
    basic = [("authorization", "Basic " + b64encode(b"bank:secret").decode())]
    assert refusal(oauth.redeem(oauth.code(), basic)) == (401, "invalid_client")
    without: dict[str, Any] = {"client_assertion": None, "client_assertion_type": None}
    answer = oauth.redeem("x", basic, **without)
    assert refusal(answer) == (401, "invalid_client")
    # RFC 6749 §5.2: the scheme that the client used.
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "unsupported_grant_type"),
        ({"code": None}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
    ],
)
def test_requests_that_are_not_understood(oauth: OAuthClient, changes: dict[str, Any], error: str) -> None:
    assert refusal(oauth.redeem("x", **changes)) == (400, error)


@pytest.mark.parametrize("name", ["code", "client_assertion", "redirect_uri", "code_verifier", "grant_type"])
def test_a_repeated_parameter(oauth: OAuthClient, name: str) -> None:
    """RFC 6749 §3.2."""
    code = oauth.code()
    form = oauth.form(code)
    body = urlencode([*form.items(), (name, form[name])]).encode()
    assert refusal(oauth.post_token(body)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", "", "application/jwt"]
)
def test_only_forms(oauth: OAuthClient, media_type: str) -> None:
    form = oauth.form(oauth.code())
    body = json.dumps(form).encode() if media_type == "application/json" else urlencode(form).encode()
    assert refusal(oauth.post_token(body, content_type=media_type)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "body",
    [b"", b"&", b"x", b"\xff", b"a=%ff", b"grant_type=authorization_code&", b"a=1&" * 100, b"a=" + b"x" * 100_000],
)
def test_forms_that_cannot_be_read(oauth: OAuthClient, body: bytes) -> None:
    status, error = refusal(oauth.post_token(body))
    assert (status, error) in ((400, "invalid_request"), (401, "invalid_client"))


def test_parameters_in_the_query_do_not_count(oauth: OAuthClient) -> None:
    """RFC 6749 §2.3.1, §3.2: they would end up in logs."""
    query = urlencode(oauth.form(oauth.code()))
    form = [("content-type", "application/x-www-form-urlencoded")]
    answer = request(oauth.issuer, "POST", f"/oauth2/token?{query}", form, b"")
    assert answer.status in (400, 401)
    assert request(oauth.issuer, "GET", f"/oauth2/token?{query}").status == 405
