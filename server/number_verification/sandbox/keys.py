"""The sandbox's secrets: made on the first start, kept in its data directory, and given away in `sandbox.json`."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

FILE = "sandbox-keys.json"


@dataclass(frozen=True, slots=True)
class SandboxKeys:
    """What a restarted sandbox shares with its former self."""

    bank: dict[str, Any]
    external_issuer: dict[str, Any]
    radius_secret: str
    service_token: str

    def __repr__(self) -> str:
        return "SandboxKeys(…)"


def load(data_dir: Path) -> SandboxKeys:
    """The keys of this data directory."""
    path = data_dir / FILE
    if path.exists():
        return SandboxKeys(**json.loads(path.read_text()))
    keys = SandboxKeys(_private_jwk(), _private_jwk(), secrets.token_hex(32), secrets.token_urlsafe(32))
    path.touch(mode=0o600)
    path.write_text(json.dumps({name: getattr(keys, name) for name in SandboxKeys.__slots__}))
    return keys


def public(jwk: dict[str, Any]) -> dict[str, Any]:
    """The public half of a key, as a JWK set."""
    return {"keys": [{name: value for name, value in jwk.items() if name != "d"}]}


def _private_jwk() -> dict[str, Any]:
    key = ECKey.generate_key("P-256", auto_kid=True)
    return {**key.as_dict(private=True), "alg": "ES256", "use": "sig"}
