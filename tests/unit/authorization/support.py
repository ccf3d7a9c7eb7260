"""What the tests of this folder share: keys, tokens made by joserfc itself, and a one-time store of dicts."""

import base64
import json
import threading
import warnings
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from number_verification.authorization.jwks import StaticKeySet
from number_verification.domain.clock import Milliseconds

NOW: Milliseconds = 1_800_000_000_500
SECONDS = NOW // 1000

EC = ECKey.generate_key("P-256", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
OKP = OKPKey.generate_key("Ed25519", {"kid": "okp"})
KEY_OF: dict[str, Key] = {"ES256": EC, "RS256": RSA, "PS256": RSA, "EdDSA": OKP, "Ed25519": OKP}


class _Removed:
    def __repr__(self) -> str:
        return "removed"


REMOVED = _Removed()
"""As a claim's value: the claim is left out."""


def public(*keys: Key) -> dict[str, Any]:
    """A JWK set of public keys."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


KEYS = StaticKeySet(public(EC, RSA, OKP))


def segment(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def changed(claims: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**claims, **changes}.items() if value is not REMOVED}


def mint(
    claims: Mapping[str, Any] | bytes, key: Key = EC, alg: str = "ES256", typ: str | None = "at+jwt", **header: Any
) -> str:
    """A signed token. Parameters of the header that are `REMOVED` are left out."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    parameters = changed({"alg": alg, "kid": key.kid, "typ": REMOVED if typ is None else typ}, **header)
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # that EdDSA has another name since RFC 9864
        return jws.serialize_compact(parameters, payload, key, registry=registry)


class DictStore:
    """A one-time store in memory, for one process. What it holds can be looked at."""

    def __init__(self, remembers_since: Milliseconds = 0) -> None:
        self.remembers_since = remembers_since
        self.values: dict[bytes, bytes] = {}
        self.expiries: dict[bytes, Milliseconds] = {}
        self._guard = threading.Lock()

    def put(self, key: bytes, value: bytes, expires_at: Milliseconds) -> None:
        with self._guard:
            self.values[key], self.expiries[key] = value, expires_at

    def take(self, key: bytes) -> bytes | None:
        with self._guard:
            return self.values.pop(key, None)

    def add(self, key: bytes, expires_at: Milliseconds) -> bool:
        with self._guard:
            if key in self.values:
                return False
            self.values[key], self.expiries[key] = b"", expires_at
            return True

    def purge(self, *_: object, **__: object) -> int:
        return 0

    def probe(self) -> None:
        return

    def close(self) -> None:
        return
