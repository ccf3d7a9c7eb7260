"""Signatures: what is verified, and everything that is refused."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwe, jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from number_verification.authorization import jose
from number_verification.authorization.jwks import StaticKeySet
from number_verification.domain.refusal import Reason
from unit.authorization.support import EC, KEY_OF, KEYS, OKP, REMOVED, RSA, mint, public, segment

CLAIMS = {"sub": "somebody", "n": 1}


def verify(
    token: str,
    keys: jose.KeySource = KEYS,
    algorithms: frozenset[str] = jose.ALGORITHMS,
    types: frozenset[str] | None = frozenset({"at+jwt"}),
) -> dict[str, Any]:
    return jose.verify(token, keys, algorithms=algorithms, types=types)[1]


def refusal(token: str, **options: Any) -> Reason:
    with pytest.raises(jose.InvalidToken) as caught:
        verify(token, **options)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert str(caught.value) == caught.value.reason.value
    return caught.value.reason


@pytest.mark.parametrize("alg", sorted(jose.ALGORITHMS))
def test_every_algorithm_verifies(alg: str) -> None:
    token = mint(CLAIMS, KEY_OF[alg], alg)
    header, claims = jose.verify(token, KEYS, algorithms=frozenset({alg}), types=None)
    assert claims == CLAIMS
    assert header["alg"] == alg
    assert refusal(token, algorithms=jose.ALGORITHMS - {alg}) is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize("alg", sorted(jose.ALGORITHMS))
def test_no_byte_can_be_changed(alg: str) -> None:
    token = mint(CLAIMS, KEY_OF[alg], alg)
    header, payload, signature = token.split(".")
    other = segment(json.dumps({**CLAIMS, "sub": "somebody else"}).encode())
    assert refusal(f"{header}.{other}.{signature}") is Reason.TOKEN_SIGNATURE
    octets = bytearray(base64.urlsafe_b64decode(signature + "=="))
    for index in (0, len(octets) // 2, len(octets) - 1):
        octets[index] ^= 1
        assert refusal(f"{header}.{payload}.{segment(bytes(octets))}") is Reason.TOKEN_SIGNATURE
        octets[index] ^= 1
    assert refusal(f"{header}.{payload}.{segment(bytes(octets[:-1]))}") is Reason.TOKEN_SIGNATURE
    assert refusal(f"{header}.{payload}.") is Reason.TOKEN_SIGNATURE


def test_rfc_7515_a3_verifies() -> None:
    """RFC 7515 appendix A.3: ES256. Its payload is not quite compact JSON, and its header has no typ."""
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    }
    token = (
        "eyJhbGciOiJFUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    )
    claims = verify(token, StaticKeySet({"keys": [key]}), types=frozenset({""}))
    assert claims == {"iss": "joe", "exp": 1300819380, "http://example.com/is_root": True}


def test_rfc_8037_a4_has_no_json_and_is_refused_after_its_signature() -> None:
    """RFC 8037 appendix A.4: the signature is good, but the payload is not a set of claims."""
    key = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    token = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
        ".hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    assert refusal(token, keys=StaticKeySet({"keys": [key]}), types=None) is Reason.TOKEN_MALFORMED
    assert refusal(token[:-2] + "BA", keys=StaticKeySet({"keys": [key]}), types=None) is Reason.TOKEN_SIGNATURE


def unsigned(alg: str, typ: str = "at+jwt", **header: Any) -> str:
    parameters = {"alg": alg, "typ": typ, "kid": "ec", **header}
    return f"{segment(json.dumps(parameters).encode())}.{segment(json.dumps(CLAIMS).encode())}"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "ES256K", "ES512", "RS512", "HS256", "dir"])
def test_other_algorithms_are_refused_even_if_allowed(alg: str) -> None:
    allowed = jose.ALGORITHMS | {alg}
    for kid in ("ec", "rsa"):
        token = unsigned(alg, kid=kid)
        assert refusal(token + ".", algorithms=allowed) is Reason.TOKEN_SIGNATURE
        assert refusal(f"{token}.{segment(bytes(64))}", algorithms=allowed) is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_no_secret(alg: str) -> None:
    """The classic confusion: a MAC made with the public key that everybody has."""
    for key in (EC, RSA):
        for secret in (key.as_pem(), json.dumps(key.as_dict(private=False)).encode()):
            signed = unsigned(alg, kid=key.kid)
            mac = hmac.new(secret, signed.encode(), getattr(hashlib, "sha" + alg[2:])).digest()
            assert refusal(f"{signed}.{segment(mac)}", algorithms=jose.ALGORITHMS | {alg}) is Reason.TOKEN_SIGNATURE


def test_a_symmetric_key_in_a_set_is_not_used() -> None:
    secret = OctKey.generate_key(256, {"kid": "shared"})
    keys = StaticKeySet({"keys": [secret.as_dict(private=True)]})
    token = mint(CLAIMS, secret, "HS256")
    assert refusal(token, keys=keys, algorithms=jose.ALGORITHMS | {"HS256"}) is Reason.TOKEN_SIGNATURE


ATTACKER = ECKey.generate_key("P-256", {"kid": "ec"})


@pytest.mark.parametrize(
    "parameter",
    [
        {"jwk": ATTACKER.as_dict(private=False)},
        {"jku": "https://attacker.example/jwks"},
        {"x5u": "https://attacker.example/certificate"},
        {"x5c": ["MIIB"]},
        {"crit": ["exp"], "exp": 1},
        {"crit": []},
        {"b64": True},
        {"b64": False, "crit": ["b64"]},
        {"zip": "DEF"},
        {"jwk": None},
    ],
    ids=lambda parameter: "-".join(parameter),
)
def test_what_a_header_must_not_bring(parameter: dict[str, Any]) -> None:
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "ec", **parameter}
    signed = f"{segment(json.dumps(header).encode())}.{segment(json.dumps(CLAIMS).encode())}"
    for key in (ATTACKER, EC):
        signature = jws.JWSRegistry.algorithms["ES256"].sign(signed.encode(), key)
        assert refusal(f"{signed}.{segment(signature)}") is Reason.TOKEN_MALFORMED


def test_a_signature_of_another_key_with_the_same_kid() -> None:
    assert refusal(mint(CLAIMS, ATTACKER)) is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize(
    "header",
    [{"alg": 1}, {"alg": ["ES256"]}, {"alg": None}, {"kid": 1}, {"kid": {}}, {"kid": None}, {"typ": 1}, {"cty": []}],
    ids=str,
)
def test_header_parameters_of_the_wrong_type(header: dict[str, Any]) -> None:
    parameters = {"alg": "ES256", "typ": "at+jwt", "kid": "ec", **header}
    signed = f"{segment(json.dumps(parameters).encode())}.{segment(json.dumps(CLAIMS).encode())}"
    signature = jws.JWSRegistry.algorithms["ES256"].sign(signed.encode(), EC)
    assert refusal(f"{signed}.{segment(signature)}") is Reason.TOKEN_MALFORMED


def test_parameters_that_are_not_known_are_ignored() -> None:
    """RFC 7515 §4."""
    assert verify(mint(CLAIMS, nonce="x", x5t="y")) == CLAIMS


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"])
def test_types_are_media_types(typ: str) -> None:
    assert verify(mint(CLAIMS, typ=typ)) == CLAIMS


@pytest.mark.parametrize("typ", [None, "", "JWT", "application/", "text/at+jwt", "at+jwt ", "oauth-authz-req+jwt"])
def test_other_types_are_refused(typ: str | None) -> None:
    assert refusal(mint(CLAIMS, typ=typ)) is Reason.TOKEN_MALFORMED


def test_no_kid_is_fine_if_one_key_fits() -> None:
    other = RSAKey.generate_key(2048)
    token = mint(CLAIMS, kid=REMOVED)
    assert verify(token, StaticKeySet(public(EC, RSA))) == CLAIMS
    assert refusal(token, keys=StaticKeySet(public(EC, ATTACKER))) is Reason.TOKEN_SIGNATURE
    assert refusal(mint(CLAIMS, RSA, "RS256", kid=REMOVED), keys=StaticKeySet(public(RSA, other))) is (
        Reason.TOKEN_SIGNATURE
    )
    assert refusal(mint(CLAIMS, kid="unknown")) is Reason.TOKEN_SIGNATURE


def test_a_key_is_only_used_for_its_algorithm() -> None:
    jwk = {**RSA.as_dict(private=False), "alg": "PS256"}
    keys = StaticKeySet({"keys": [jwk]})
    assert verify(mint(CLAIMS, RSA, "PS256"), keys) == CLAIMS
    assert refusal(mint(CLAIMS, RSA, "RS256"), keys=keys) is Reason.TOKEN_SIGNATURE


SECRET = OctKey.generate_key(256, {"kid": "shared"})
PS256_ONLY = jose.verification_key({**RSA.as_dict(private=False), "alg": "PS256"})


@pytest.mark.parametrize(
    ("key", "token"),
    [
        (jose.VerificationKey(SECRET, "shared", frozenset({"HS256"})), mint(CLAIMS, SECRET, "HS256")),
        (jose.VerificationKey(SECRET, "shared", jose.ALGORITHMS), mint(CLAIMS, SECRET, "HS256")),
        (KEYS.find("rsa", "RS256"), mint(CLAIMS)),
        (PS256_ONLY, mint(CLAIMS, RSA, "RS256")),
    ],
    ids=["secret", "secret for anything", "other type", "other algorithm"],
)
def test_a_source_that_returns_the_wrong_key_does_no_harm(key: jose.VerificationKey, token: str) -> None:
    class Wrong:
        def find(self, *_: object, **__: object) -> jose.VerificationKey | None:
            return key

    assert refusal(token, keys=Wrong(), algorithms=jose.ALGORITHMS | {"HS256"}) is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.b.c",
        "\ud800.b.c",
        "e30.e30.",
        mint(CLAIMS) + ".x",
        mint(CLAIMS) + ".",
        mint(CLAIMS).replace(".", ". ", 1),
        mint(CLAIMS) + "=",
        mint(CLAIMS) + "\n",
        " " + mint(CLAIMS),
        "." + mint(CLAIMS),
        mint(CLAIMS).rpartition(".")[0],
        json.dumps({"payload": "", "signatures": []}),
    ],
)
def test_what_is_no_compact_jws(token: str) -> None:
    assert refusal(token) in (Reason.TOKEN_MALFORMED, Reason.TOKEN_SIGNATURE)


def test_an_encrypted_token_is_refused() -> None:
    registry = jwe.JWERegistry(algorithms=["RSA-OAEP", "A128GCM"])
    token = jwe.encrypt_compact(
        {"alg": "RSA-OAEP", "enc": "A128GCM", "typ": "at+jwt"}, json.dumps(CLAIMS), RSA, registry=registry
    )
    assert refusal(token) is Reason.TOKEN_SIGNATURE


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"text"',
        b"1",
        b"null",
        b"{",
        b"{} {}",
        b'{"sub":"a","sub":"b"}',
        b'{"a":{"b":1,"b":2}}',
        b'{"exp":NaN}',
        b'{"exp":Infinity}',
        b'{"exp":-Infinity}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"{'a':1}",
        b'{"a":1,}',
    ],
    ids=lambda payload: payload[:24],
)
def test_payloads_that_are_not_strict_json(payload: bytes) -> None:
    assert refusal(mint(payload)) is Reason.TOKEN_MALFORMED


def test_escapes_of_whole_characters_are_fine() -> None:
    assert verify(mint(b'{"a":"\\u00e9\\ud83d\\ude00"}')) == {"a": "é😀"}


@pytest.mark.parametrize(
    "header",
    [
        b'{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"ec"}',
        b'{"alg":"ES256","typ":"at+jwt","kid":"ec","x":NaN}',
        b'["ES256"]',
        b'{"typ":"at+jwt","kid":"ec","alg":"ES256","a":' + b"[" * 150 + b"1" + b"]" * 150 + b"}x",
    ],
)
def test_headers_that_are_not_strict_json(header: bytes) -> None:
    signed = f"{segment(header)}.{segment(json.dumps(CLAIMS).encode())}"
    signature = jws.JWSRegistry.algorithms["ES256"].sign(signed.encode(), EC)
    assert refusal(f"{signed}.{segment(signature)}") is Reason.TOKEN_MALFORMED


def test_a_signature_has_one_spelling() -> None:
    """The unused bits of the last character are zero, so that one token cannot be written in several ways."""
    token = mint(CLAIMS)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spellings = [token[:-1] + character for character in alphabet]
    good = []
    for spelling in spellings:
        try:
            verify(spelling)
        except jose.InvalidToken:
            continue
        good.append(spelling)
    assert good == [token]


def test_length_is_refused_before_any_work() -> None:
    class Untouched:
        def find(self, *_: object, **__: object) -> jose.VerificationKey | None:
            raise AssertionError

    token = mint({**CLAIMS, "padding": "x" * 90_000})
    assert refusal(token, keys=Untouched()) is Reason.TOKEN_MALFORMED
    with pytest.raises(jose.InvalidToken):
        jose.unverified_claims(token)
    assert jose.verify(token, KEYS, algorithms=jose.ALGORITHMS, types=None, max_length=len(token))[1]["n"] == 1
    with pytest.raises(jose.InvalidToken):
        jose.verify(token, KEYS, algorithms=jose.ALGORITHMS, types=None, max_length=len(token) - 1)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.lists(st.binary(max_size=60), min_size=3, max_size=3)))
def test_anything_at_all_is_refused_cleanly(content: str | list[bytes]) -> None:
    token = content if isinstance(content, str) else ".".join(segment(part) for part in content)
    refusal(token, types=None)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "cty", "x5t", "crit", "x"]),
        st.from_type(object) | st.none() | st.integers() | st.text() | st.lists(st.text()),
    )
)
def test_any_header_is_refused_cleanly(header: dict[str, Any]) -> None:
    token = f"{segment(json.dumps(header, default=str).encode())}.{segment(b'{}')}.{segment(bytes(64))}"
    refusal(token, types=None)


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct", "k": "AAAA"},
        {"kty": "EC2"},
        {"kty": None},
        {"kty": ["EC"]},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"crv": None},
        {"crv": ["P-256"]},
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": "verify"},
        {"alg": "HS256"},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"alg": 1},
        {"kid": 1},
        {"x": EC.as_dict(private=False)["y"]},
        {"x": ""},
        {"x": "!"},
        {"x": 1},
        {"x": None},
        {"x": "A" * 60_000},
        {"d": "AAAA"},
    ],
    ids=lambda change: "-".join(change),
)
def test_keys_that_are_not_usable(change: dict[str, Any]) -> None:
    jwk = {**EC.as_dict(private=False), **change}
    with pytest.raises(jose.UnusableKey) as caught:
        jose.verification_key(jwk)
    assert "AAAA" not in str(caught.value)


@pytest.mark.parametrize("key", [EC, RSA, OKP], ids=["EC", "RSA", "OKP"])
def test_a_private_key_is_not_used_to_verify(key: ECKey | RSAKey | OKPKey) -> None:
    with pytest.raises(jose.UnusableKey):
        jose.verification_key(dict(key.as_dict(private=True)))


def rsa_jwk(bits: int) -> dict[str, Any]:
    modulus = (1 << (bits - 1)) | 1
    octets = modulus.to_bytes(max(256, (bits + 7) // 8), "big")
    return {"kty": "RSA", "n": segment(octets), "e": "AQAB"}


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.parametrize("bits", [1024, 2040, 2047, 8193, 16384])
def test_rsa_keys_that_are_too_short_or_too_long(bits: int) -> None:
    with pytest.raises(jose.UnusableKey):
        jose.verification_key(rsa_jwk(bits))
    with pytest.raises(jose.UnusableKey):
        jose.verification_key({**rsa_jwk(bits), "n": rsa_jwk(bits)["n"].lstrip("A")})


@pytest.mark.parametrize("bits", [2048, 3072, 8192])
def test_rsa_keys_of_a_fair_size(bits: int) -> None:
    assert jose.verification_key(rsa_jwk(bits)).algorithms == {"RS256", "PS256"}


@pytest.mark.parametrize("exponent", ["AA", "AQ", "Ag", "", "%"])
def test_rsa_exponents_that_are_none(exponent: str) -> None:
    with pytest.raises(jose.UnusableKey):
        jose.verification_key({**rsa_jwk(2048), "e": exponent})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([EC, RSA, OKP]),
    st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "use", "alg", "kid", "key_ops"]), _json),
)
def test_any_key_is_usable_or_not(key: ECKey | RSAKey | OKPKey, change: dict[str, Any]) -> None:
    try:
        jose.verification_key({**key.as_dict(private=False), **change})
    except jose.UnusableKey:
        return


@pytest.mark.parametrize("alg", sorted(jose.ALGORITHMS))
def test_a_decoy_verifies_nothing(alg: str) -> None:
    decoy = jose.decoy_key(alg)
    assert alg in decoy.algorithms
    assert decoy is jose.decoy_key(alg)
    assert not decoy.key.is_private

    class Decoys:
        def find(self, _kid: str | None, algorithm: str) -> jose.VerificationKey | None:
            return jose.decoy_key(algorithm)

    assert refusal(mint(CLAIMS, KEY_OF[alg], alg), keys=Decoys()) is Reason.TOKEN_SIGNATURE


def test_signing_keys_sign_and_hide() -> None:
    key = jose.SigningKey.generate()
    token = key.sign(CLAIMS, typ="JWT")
    assert verify(token, StaticKeySet({"keys": [key.public_jwk()]}), types=frozenset({"jwt"})) == CLAIMS
    secret = key.private_jwk()["d"]
    assert "d" not in key.public_jwk()
    assert secret not in repr(key)
    again = jose.SigningKey.from_jwk(key.private_jwk())
    assert again.kid == key.kid == ECKey.import_key(key.public_jwk()).thumbprint()


@pytest.mark.parametrize(
    "jwk",
    [{}, EC.as_dict(private=False), RSA.as_dict(private=True), {**EC.as_dict(private=True), "d": 1},
     {**EC.as_dict(private=True), "d": "AA"}, {**EC.as_dict(private=True), "x": "AAAA"},
     ECKey.generate_key("P-384").as_dict(private=True)],
)  # fmt: skip
def test_what_is_no_signing_key(jwk: dict[str, Any]) -> None:
    with pytest.raises(jose.UnusableKey):
        jose.SigningKey.from_jwk(jwk)


def test_rfc_7638_thumbprint() -> None:
    """RFC 7638 §3.1, through the library that makes our key identifiers."""
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
        "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
        "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
        "nqDKgw"
    )
    key = RSAKey.import_key({"kty": "RSA", "n": modulus, "e": "AQAB"})
    assert key.thumbprint() == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
