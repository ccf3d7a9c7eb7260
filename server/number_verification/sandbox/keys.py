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
    shop: dict[str, Any]
    operator_staff: dict[str, Any]
    external_issuer: dict[str, Any]
    radius_secret: str
    service_token: str

    def __repr__(self) -> str:
        return "SandboxKeys(…)"


def load(data_dir: Path) -> SandboxKeys:
    """The keys of this data directory."""
    path = data_dir / FILE
    if path.exists():
        kept = json.loads(path.read_text())
        # A sandbox of another version kept others.
        if set(kept) == set(SandboxKeys.__slots__):
            return SandboxKeys(**kept)
    keys = SandboxKeys(
        bank=private_jwk(),
        shop=private_jwk(),
        operator_staff=private_jwk(),
        external_issuer=private_jwk(),
        radius_secret=secrets.token_hex(32),
        service_token=secrets.token_urlsafe(32),
    )
    path.touch(mode=0o600)
    path.write_text(json.dumps({name: getattr(keys, name) for name in SandboxKeys.__slots__}))
    return keys


def public(jwk: dict[str, Any]) -> dict[str, Any]:
    """The public half of a key, as a JWK set."""
    return {"keys": [{name: value for name, value in jwk.items() if name != "d"}]}


def private_jwk() -> dict[str, Any]:
    """A new private key, as a JWK."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    return {**key.as_dict(private=True), "alg": "ES256", "use": "sig"}
