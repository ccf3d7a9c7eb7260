"""Signed JSON Web Tokens: the one place that knows joserfc, with everything mandatory that the library leaves open.

Only the compact serialization of a JWS is read (RFC 7515 §3.1), only asymmetric algorithms are known, and a key is only
used for what it is for (RFC 8725 §3.1, §3.2). What a token says of its own keys is never believed. The claims are
checked separately, in `claims`.
"""

import functools
import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.util import urlsafe_b64decode

from number_verification.domain.refusal import Reason

MAX_LENGTH = 16384
"""Characters of a token."""

_MAX_HEADER_LENGTH = 512

_ALGORITHMS_OF = {
    ("EC", "P-256"): frozenset({"ES256"}),
    ("OKP", "Ed25519"): frozenset({"EdDSA", "Ed25519"}),
    ("RSA", None): frozenset({"RS256", "PS256"}),
}
_MEMBERS_OF = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("n", "e")}
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_RSA_BITS = range(2048, 8192 + 1)
"""Less is weak (RFC 7518 §3.3); more makes every check slow."""

ALGORITHMS = frozenset().union(*_ALGORITHMS_OF.values())
"""Every algorithm that can be asked for (RFC 7518 §3, RFC 8037 §3.1, RFC 9864 §2.2)."""

_REFUSED_PARAMETERS = ("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip")
"""Keys that a token brings itself, extensions that we would have to know, and encodings that we do not read."""


class InvalidToken(Exception):
    """A token that is not good. Holds nothing of the token.

    Args:
        reason: why, one of the `TOKEN_…` reasons.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class KeysUnavailable(Exception):
    """There is no key to check with, because whoever publishes them cannot be reached.

    Args:
        retry_after: seconds after which it may be tried again.
    """

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"no usable keys, retry after {retry_after} s")
        self.retry_after = retry_after


class UnusableKey(ValueError):
    """A JSON Web Key that no signature may be checked with. The message holds nothing of the key."""


class VerificationKey:
    """A public key for signatures.

    Args:
        key: the key, as the library wants it.
        kid: its identifier, if it has one.
        algorithms: what it may be used for.
    """

    __slots__ = ("algorithms", "key", "kid")

    def __init__(self, key: Key, kid: str | None, algorithms: frozenset[str]) -> None:
        self.key = key
        self.kid = kid
        self.algorithms = algorithms


class KeySource(Protocol):
    """Where the key of a token is found."""

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The one key with this identifier that fits the algorithm; without an identifier, the only key that fits.

        None if there is none or more than one.

        Raises:
            KeysUnavailable: that cannot be told now.
        """
        ...


class _Registry(jws.JWSRegistry):
    """The library's registry for the algorithms above, without its warning that RFC 9864 prefers another name."""

    max_header_length = _MAX_HEADER_LENGTH

    def get_alg(self, name: str) -> JWSAlgModel:
        return self.algorithms[name]


# Header parameters that are not understood are to be ignored (RFC 7515 §4): the check of names is ours.
_registry = _Registry(algorithms=ALGORITHMS, strict_check_header=False)


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(members)
    if len(unique) != len(members):
        raise ValueError("duplicate member")
    return unique


def _no_constant(_: str) -> NoReturn:
    raise ValueError("not a JSON number")


_decode_json = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant).decode


def parse_object(content: bytes) -> dict[str, Any]:
    """Read a JSON object strictly: UTF-8, no member twice, no NaN, no text that is not Unicode.

    Raises:
        ValueError: it is anything else. The message may hold some of the content.
    """
    try:
        value = _decode_json(content.decode())
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")  # noqa: TRY004 - like every other thing that is wrong with the content
    if b"\\u" in content:
        # An escape may stand for half a character (RFC 8259 §8.2), which nothing further on could encode.
        json.dumps(value, ensure_ascii=False).encode()
    return value


@functools.lru_cache(maxsize=256)
def _header(segment: str) -> Mapping[str, Any]:
    """The header of a token. All tokens that one key signed have the same one, so it is read once."""
    header = parse_object(urlsafe_b64decode(segment.encode("ascii")))
    if any(name in header for name in _REFUSED_PARAMETERS):
        raise ValueError("header parameter")
    if not all(isinstance(header.get(name, ""), str) for name in ("alg", "kid", "typ", "cty")):
        raise ValueError("header parameter")
    return header


def verify(
    token: str,
    keys: KeySource,
    *,
    algorithms: frozenset[str],
    types: frozenset[str] | None,
    max_length: int = MAX_LENGTH,
) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The header and the claims of a token whose signature is good. The claims are not checked.

    Args:
        token: a JWS in compact serialization.
        keys: where its key is looked for.
        algorithms: those allowed, some of `ALGORITHMS`; any other is refused even if allowed here.
        types: the `typ` allowed, in lower case and without `application/` (RFC 7515 §4.1.9), the empty string for a
            token without one; None for any.
        max_length: the greatest length in characters; a longer token is refused before anything is done with it.

    Raises:
        InvalidToken: TOKEN_MALFORMED or TOKEN_SIGNATURE.
        KeysUnavailable: the key source has no keys.
    """
    if len(token) > max_length or not token.isascii():
        raise InvalidToken(Reason.TOKEN_MALFORMED)
    segment = token.partition(".")[0]
    if len(segment) > _MAX_HEADER_LENGTH:
        raise InvalidToken(Reason.TOKEN_MALFORMED)
    try:
        header = _header(segment)
    except ValueError:
        raise InvalidToken(Reason.TOKEN_MALFORMED) from None
    if types is not None and header.get("typ", "").lower().removeprefix("application/") not in types:
        raise InvalidToken(Reason.TOKEN_MALFORMED)
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or algorithm not in algorithms:
        raise InvalidToken(Reason.TOKEN_SIGNATURE)
    key = keys.find(header.get("kid"), algorithm)
    if key is None or algorithm not in key.algorithms:
        raise InvalidToken(Reason.TOKEN_SIGNATURE)
    return header, _payload(token, key)


def _payload(token: str, key: VerificationKey) -> dict[str, Any]:
    try:
        signed = jws.extract_compact(token.encode("ascii"), None, _registry)
    except (JoseError, ValueError, RecursionError):
        raise InvalidToken(Reason.TOKEN_MALFORMED) from None
    try:
        good = jws.validate_compact(signed, key.key, None, _registry)
    except (JoseError, ValueError):
        good = False
    if not good:
        raise InvalidToken(Reason.TOKEN_SIGNATURE)
    try:
        return parse_object(signed.payload)
    except ValueError:
        raise InvalidToken(Reason.TOKEN_MALFORMED) from None


def unverified_claims(token: str, *, max_length: int = MAX_LENGTH) -> dict[str, Any]:
    """The claims of a token that nothing is known of yet, to choose by them what it is then verified against.

    Raises:
        InvalidToken: TOKEN_MALFORMED.
    """
    if len(token) > max_length or not token.isascii() or token.count(".") != 2:
        raise InvalidToken(Reason.TOKEN_MALFORMED)
    try:
        return parse_object(urlsafe_b64decode(token.split(".")[1].encode("ascii")))
    except ValueError:
        raise InvalidToken(Reason.TOKEN_MALFORMED) from None


def verification_key(jwk: Mapping[str, Any]) -> VerificationKey:
    """Read a public key (RFC 7517 §4): EC on P-256, RSA of 2048 to 8192 bits, or Ed25519.

    Raises:
        UnusableKey: it is another kind of key, a private or a weak one, not for signatures, or malformed.
    """
    kty, crv, kid, alg = (jwk.get(name) for name in ("kty", "crv", "kid", "alg"))
    if not isinstance(kty, str) or not isinstance(kid, str | None) or not isinstance(alg, str | None):
        raise UnusableKey("malformed key")
    if not _PRIVATE_MEMBERS.isdisjoint(jwk):
        raise UnusableKey("a private key that is not private any more")
    if jwk.get("use", "sig") != "sig" or "verify" not in _operations(jwk):
        raise UnusableKey("not a key for signatures")
    algorithms = _ALGORITHMS_OF.get((kty, crv if isinstance(crv, str) and kty != "RSA" else None), frozenset())
    if alg is not None:
        algorithms &= {alg}
    if not algorithms:
        raise UnusableKey("no key for an algorithm that is known")
    members: dict[str, Any] = {name: jwk.get(name) for name in _MEMBERS_OF[kty]}
    if not all(isinstance(value, str) for value in members.values()):
        raise UnusableKey("malformed key")
    return VerificationKey(_imported(kty, {"kty": kty, "use": "sig", **members}), kid, algorithms)


def _operations(jwk: Mapping[str, Any]) -> list[Any]:
    operations = jwk.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else []


def _imported(kty: str, members: dict[str, Any]) -> Key:
    try:
        if kty == "EC":
            return ECKey.import_key(members)
        if kty == "OKP":
            return OKPKey.import_key(members)
        # The library only warns of a weak key, and not before it is imported: 342 characters hold 256 bytes.
        if len(members["n"]) >= math.ceil(_RSA_BITS.start / 6):
            key = RSAKey.import_key(members)
            if key.public_key.key_size in _RSA_BITS:
                return key
    except (JoseError, ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        raise UnusableKey("malformed key") from None
    raise UnusableKey("an RSA key that is too short or too long")


@functools.cache
def decoy_key(algorithm: str) -> VerificationKey:
    """A key that nothing was ever signed with: checking with it takes as long as with a real one, and always fails."""
    private: Key
    if algorithm in _ALGORITHMS_OF["RSA", None]:
        private = RSAKey.generate_key(_RSA_BITS.start)
    elif algorithm in _ALGORITHMS_OF["EC", "P-256"]:
        private = ECKey.generate_key("P-256")
    else:
        private = OKPKey.generate_key("Ed25519")
    return verification_key(dict(private.as_dict(private=False)))


class SigningKey:
    """A private key of ours, EC on P-256, that signs with ES256. Its repr and its errors hold nothing of it.

    Args:
        key: the key, as the library wants it.
    """

    __slots__ = ("_key", "kid")

    def __init__(self, key: ECKey) -> None:
        self._key = key
        self.kid = key.thumbprint()
        """RFC 7638 thumbprint."""

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key."""
        return cls(ECKey.generate_key("P-256"))

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "SigningKey":
        """Read a key that `private_jwk` wrote.

        Raises:
            UnusableKey: it is anything else.
        """
        if jwk.get("kty") != "EC" or jwk.get("crv") != "P-256" or "d" not in jwk:
            raise UnusableKey("not a private EC key on P-256")
        try:
            return cls(ECKey.import_key(dict(jwk)))
        except (JoseError, ValueError, TypeError, AttributeError, OverflowError):
            raise UnusableKey("malformed key") from None

    def verification_key(self) -> VerificationKey:
        """The key to check its signatures with."""
        return VerificationKey(self._key, self.kid, frozenset({"ES256"}))

    def private_jwk(self) -> dict[str, Any]:
        """The key with its private part, to be kept."""
        return dict(self._key.as_dict(private=True))

    def public_jwk(self) -> dict[str, Any]:
        """The key without its private part, to be published."""
        return dict(self._key.as_dict(private=False, kid=self.kid, use="sig", alg="ES256"))

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """A JWS in compact serialization with these claims."""
        payload = json.dumps(claims, separators=(",", ":")).encode()
        header = {"alg": "ES256", "kid": self.kid, "typ": typ}
        return jws.serialize_compact(header, payload, self._key, None, _registry)
