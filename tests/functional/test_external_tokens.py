"""JWT access tokens of an external issuer (RFC 9068): everything missing or wrong in turn."""

import hashlib
import hmac
import json
import os
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc.jwk import ECKey, OctKey, RSAKey

from functional.service import PURPOSE, READ_SCOPE, VERIFY_SCOPE, Service
from functional.transports import MOBILE_403, Rest, Transport

NUMBER = "+990555000001"


def now(offset: int = 0) -> int:
    return int(time.time()) + offset


@pytest.mark.parametrize("claim", ["iss", "sub", "aud", "client_id", "iat", "exp", "jti", "phone_number"])
def test_a_claim_is_missing(sandbox: Service, transport: Transport, claim: str) -> None:
    assert transport.share(sandbox.external_token(**{claim: None})).code == "UNAUTHENTICATED"


WRONG: dict[str, list[object]] = {
    "iss": ["", "https://idp.operator.example/", "https://other.example", 1, ["x"]],
    "sub": ["", 1, ["user-1"], {}],
    "aud": ["", "https://other.example", [], ["https://other.example"], 1, {}, [1], [[]]],
    "client_id": ["", 1, ["x"]],
    "jti": ["", 1, ["x"], {}, True],
    "amr": ["nba", 1, {}, [1], ["nba", 1]],
    "scope": [1, {}, ["number-verification:verify"], True],
    "phone_number": ["", "990555000001", "+0", "tel:+990555000001", 1, [NUMBER], NUMBER + "\n"],
}


@pytest.mark.parametrize(("claim", "value"), [(claim, value) for claim, values in WRONG.items() for value in values])
def test_a_claim_is_wrong(sandbox: Service, rest: Rest, claim: str, value: Any) -> None:
    assert rest.share(sandbox.external_token(**{claim: value})).code == "UNAUTHENTICATED"


TIMES: dict[str, dict[str, Any]] = {
    "expired": {"iat": -60, "exp": -10},
    "expired long ago": {"iat": -90_000, "exp": -89_900},
    "issued in the future": {"iat": 60, "exp": 120},
    "ends before it begins": {"iat": 0, "exp": -1},
    "ends when it begins": {"iat": 0, "exp": 0},
    "lives too long": {"iat": 0, "exp": 301},
    "lives too long, from the past": {"iat": -200, "exp": 200},
    "lives forever": {"iat": 0, "exp": 10**11},
    "not yet": {"iat": 0, "exp": 120, "nbf": 60},
}


@pytest.mark.parametrize("case", TIMES)
def test_times_that_are_wrong(sandbox: Service, transport: Transport, case: str) -> None:
    claims: dict[str, Any] = {name: now(offset) for name, offset in TIMES[case].items()}
    assert transport.share(sandbox.external_token(**claims)).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("claim", ["iat", "exp", "nbf", "auth_time"])
@pytest.mark.parametrize("value", ["1", True, [], {}, -1, 1e30, 10**400])
def test_times_that_are_none(sandbox: Service, rest: Rest, claim: str, value: Any) -> None:
    assert rest.share(sandbox.external_token(**{claim: value})).code == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": now(299), "iat": now()},
        {"aud": ["https://other.example", "OURS"]},
        {"amr": ["pwd", "nba"]},
        {"amr": ["sim"]},
        {"scope": f"  {READ_SCOPE}  unknown {PURPOSE}"},
        {"unknown": {"deep": [1]}},
        {"nbf": now(-10)},
        {"auth_time": now(-100)},
    ],
)
def test_what_is_good(sandbox: Service, transport: Transport, claims: dict[str, Any]) -> None:
    if "exp" in claims:
        claims = {"iat": now(), "exp": now(299)}
    if "aud" in claims:
        claims = {"aud": ["https://other.example", sandbox.description["external_issuer"]["audience"]]}
    assert transport.share(sandbox.external_token(**claims)).body == {"devicePhoneNumber": NUMBER}


@pytest.mark.parametrize("typ", [None, "", "JWT", "jwt", "id+jwt", "at+jwt ", "logout+jwt", 1])
def test_another_type(sandbox: Service, transport: Transport, typ: object) -> None:
    """RFC 9068 §4: what else the issuer signs is no access token."""
    assert transport.share(raw_token(sandbox, typ=typ)).code == "UNAUTHENTICATED"


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_the_type_in_every_spelling(sandbox: Service, transport: Transport, typ: str) -> None:
    assert transport.share(raw_token(sandbox, typ=typ)).code == "OK"


def raw_token(sandbox: Service, key: Any = None, **header: object) -> str:
    """A token with any header, signed as ES256 whatever it says."""
    good = sandbox.external_token().split(".")
    protected = {**json.loads(urlsafe_b64decode(good[0] + "==")), **header}
    kept = {name: value for name, value in protected.items() if value is not None}
    signing = f"{_base64url(json.dumps(kept).encode())}.{good[1]}"
    private: Any = key or ECKey.import_key(sandbox.description["external_issuer"]["private_jwk"])
    r, s = decode_dss_signature(private.private_key.sign(signing.encode(), ECDSA(SHA256())))
    return f"{signing}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def _base64url(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        {"kid": "another"},
        {"kid": None},
        {"kid": 1},
        {"kid": "../../etc/passwd"},
        {"alg": "RS256"},
        {"alg": "ES384"},
        {"alg": "none"},
        {"alg": None},
        {"alg": ["ES256"]},
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"zip": "DEF"},
    ],
)
def test_a_header_that_is_wrong(sandbox: Service, transport: Transport, header: dict[str, object]) -> None:
    single_key_without_kid = header == {"kid": None}
    outcome = transport.share(raw_token(sandbox, **header))
    assert outcome.code == "UNAUTHENTICATED" or (single_key_without_kid and outcome.code == "OK")


def test_keys_that_come_with_the_token(sandbox: Service, transport: Transport) -> None:
    """`jwk`, `jku`, `x5u` and `x5c` are never followed."""
    stranger = ECKey.generate_key("P-256", auto_kid=True)
    public = stranger.as_dict(private=False)
    for header in (
        {"jwk": public},
        {"jwk": public, "kid": public["kid"]},
        {"jku": "http://127.0.0.1:9/jwks", "kid": public["kid"]},
        {"x5u": "http://127.0.0.1:9/x5u", "kid": public["kid"]},
        {"x5c": ["MIIB"], "kid": public["kid"]},
    ):
        assert transport.share(raw_token(sandbox, stranger, **header)).code == "UNAUTHENTICATED"


def test_the_key_of_somebody_else(sandbox: Service, transport: Transport) -> None:
    assert transport.share(sandbox.external_token(ECKey.generate_key("P-256"))).code == "UNAUTHENTICATED"
    rsa = RSAKey.generate_key(2048)
    assert transport.share(sandbox.external_token(rsa, {"alg": "RS256"})).code == "UNAUTHENTICATED"
    bank = ECKey.import_key(sandbox.description["clients"][0]["private_jwk"])
    assert transport.share(sandbox.external_token(bank)).code == "UNAUTHENTICATED"


def test_a_mac_made_with_the_public_key(sandbox: Service, transport: Transport) -> None:
    """The classic: HS256 keyed with what everybody knows."""
    public = ECKey.import_key(sandbox.description["external_issuer"]["private_jwk"])
    good = sandbox.external_token().split(".")
    head = {**json.loads(urlsafe_b64decode(good[0] + "==")), "alg": "HS256"}
    for secret in (
        public.as_pem(private=False),
        public.as_der(private=False),
        json.dumps(public.as_dict(private=False)).encode(),
        b"",
    ):
        signing = f"{_base64url(json.dumps(head).encode())}.{good[1]}"
        mac = hmac.digest(secret, signing.encode(), hashlib.sha256)
        assert transport.share(f"{signing}.{_base64url(mac)}").code == "UNAUTHENTICATED"
    by_library = sandbox.external_token(OctKey.import_key(os.urandom(32)), {"alg": "HS256"})
    assert transport.share(by_library).code == "UNAUTHENTICATED"


def test_a_signature_that_is_none(sandbox: Service, transport: Transport) -> None:
    head, payload, signature = sandbox.external_token().split(".")
    unsigned = _base64url(b'{"alg":"none","typ":"at+jwt"}')
    flipped = signature[:-2] + ("A" if signature[-2] != "A" else "B") + signature[-1]
    for token in (
        f"{head}.{payload}.",
        f"{unsigned}.{payload}.",
        f"{head}.{payload}.{flipped}",
        f"{head}.{payload}.{_base64url(bytes(64))}",
        f"{head}.{payload}.{signature}{signature}",
        f"{head}.{payload}",
        f"{head}.{payload}.{signature}.{signature}",
        f"{head}..{signature}",
        "..",
        f"{head}.{payload}.{signature}=",
    ):
        assert transport.share(token).code == "UNAUTHENTICATED"


def test_a_changed_payload(sandbox: Service, transport: Transport) -> None:
    head, payload, signature = sandbox.external_token().split(".")
    claims = json.loads(urlsafe_b64decode(payload + "=="))
    forged = _base64url(json.dumps({**claims, "phone_number": "+990555000666"}).encode())
    assert transport.share(f"{head}.{forged}.{signature}").code == "UNAUTHENTICATED"


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"x"', b"{", b"\xff", b'{"iss":"a","iss":"b"}', b"{}"])
def test_a_payload_that_is_no_claims(sandbox: Service, transport: Transport, payload: bytes) -> None:
    head, _, signature = sandbox.external_token().split(".")
    assert transport.share(f"{head}.{_base64url(payload)}.{signature}").code == "UNAUTHENTICATED"


def test_a_jti_serves_one_token(sandbox: Service, transport: Transport) -> None:
    """Also where the token around it is another one."""
    jti = os.urandom(8).hex()
    assert transport.share(sandbox.external_token(jti=jti)).code == "OK"
    again = sandbox.external_token(jti=jti, phone_number="+990555000002")
    assert transport.share(again).code == "UNAUTHENTICATED"


def test_a_token_that_failed_for_another_reason_is_not_used_up(sandbox: Service, transport: Transport) -> None:
    jti = os.urandom(8).hex()
    stranger = ECKey.generate_key("P-256")
    assert transport.share(sandbox.external_token(stranger, jti=jti)).code == "UNAUTHENTICATED"
    assert transport.share(sandbox.external_token(jti=jti)).code == "OK"


@pytest.mark.parametrize(
    "scope", [None, "", PURPOSE, f"{PURPOSE} {VERIFY_SCOPE}", READ_SCOPE.upper(), f"{READ_SCOPE}x"]
)
def test_the_scope_is_missing(sandbox: Service, transport: Transport, scope: str | None) -> None:
    assert transport.share(sandbox.external_token(scope=scope)).code == "PERMISSION_DENIED"


@pytest.mark.parametrize("amr", [None, [], ["sms"], ["pwd"], ["otp", "mfa"], ["NBA"], ["nba2"], [""], ["sim "]])
def test_a_user_who_was_not_authenticated_by_network_or_sim(
    sandbox: Service, transport: Transport, amr: list[str] | None
) -> None:
    assert transport.share(sandbox.external_token(amr=amr)).code == MOBILE_403
    without_number = sandbox.external_token(amr=amr, phone_number=None)
    assert transport.verify(without_number, phoneNumber=NUMBER).code == MOBILE_403


def test_the_reasons_are_for_the_operator_only(sandbox: Service, transport: Transport) -> None:
    """Design D6: one text, whatever was wrong."""
    messages = {}
    for reason, token in (
        ("token_expired", sandbox.external_token(iat=now(-60), exp=now(-10))),
        ("token_not_yet_valid", sandbox.external_token(iat=now(60), exp=now(90))),
        ("token_audience", sandbox.external_token(aud="https://other.example")),
        ("token_issuer", sandbox.external_token(iss="https://other.example")),
        ("token_signature", sandbox.external_token(ECKey.generate_key("P-256"))),
        ("token_claims", sandbox.external_token(client_id=None)),
        ("token_malformed", "a.b.c"),
        ("token_unknown", "a" * 43),
    ):
        correlator = f"reason-{reason}-{os.urandom(8).hex()}"
        outcome = transport.share(token, [("x-correlator", correlator)])
        messages[reason] = (outcome.code, outcome.body)
        assert sandbox.logged(correlator)["reason"] == reason
    assert len({str(message) for message in messages.values()}) == 1


def test_the_token_is_not_a_jwt_of_our_own_issuer(sandbox: Service, transport: Transport) -> None:
    """What stands as `iss` is a claim of the caller until a trusted key has signed it."""
    token = sandbox.external_token(iss=sandbox.description["issuer"])
    assert transport.share(token).code == "UNAUTHENTICATED"


def of_ours(sandbox: Service, client: int, device: str, **claims: Any) -> str:
    """A token that the external issuer gave to an application that is registered with us."""
    number = next(d["phone_number"] for d in sandbox.description["devices"] if d["name"] == device)
    client_id = sandbox.description["clients"][client]["client_id"]
    return sandbox.external_token(client_id=client_id, phone_number=number, **claims)


@pytest.mark.parametrize("scope", [f"{PURPOSE} {READ_SCOPE}", READ_SCOPE])
def test_an_application_of_ours_whose_basis_is_consent(sandbox: Service, transport: Transport, scope: str) -> None:
    correlator = os.urandom(8).hex()
    assert transport.share(of_ours(sandbox, 1, "phone-1", scope=scope)).code == "OK"
    missing = transport.share(of_ours(sandbox, 1, "phone-2", scope=scope), [("x-correlator", correlator)])
    assert missing.code == "PERMISSION_DENIED"
    assert sandbox.logged(correlator)["reason"] == "consent_missing"


def test_an_application_of_ours_on_another_basis(sandbox: Service, transport: Transport) -> None:
    assert transport.share(of_ours(sandbox, 0, "phone-2", scope=READ_SCOPE)).code == "OK"
    assert (
        transport.share(of_ours(sandbox, 0, "phone-2", scope=f"dpv:Marketing {READ_SCOPE}")).code == "PERMISSION_DENIED"
    )
