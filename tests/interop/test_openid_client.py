"""Node's openid-client as the partner's backend: discovery, PKCE, private_key_jwt, a verified ID token, then REST."""

import json
from pathlib import Path
from typing import Any

import pytest

from functional.service import Service
from interop.programs import program, run

pytestmark = pytest.mark.interop

SCRIPT = Path(__file__).parent / "node" / "partner.mjs"


def story(sandbox: Service, device: str) -> dict[str, Any]:
    """What became of it on a device."""
    done = run(program("node"), SCRIPT, sandbox.data_dir / "sandbox.json", device)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_number_is_verified(sandbox: Service) -> None:
    told = story(sandbox, "phone-1")
    number = sandbox.partner.phone_number_of("phone-1")
    assert told["verified"] == {"status": 200, "body": {"devicePhoneNumberVerified": True}}
    assert told["shared"] == {"status": 200, "body": {"devicePhoneNumber": number}}
    assert 0 < told["expires_in"] <= 300
    assert told["refresh_token"] is None

    claims = told["claims"]
    assert claims["iss"] == sandbox.description["issuer"]
    assert claims["aud"] == sandbox.description["clients"][0]["client_id"]
    assert claims["sub"]
    # Neither the number nor the IMSI, nor anything from which they could be read, is in the ID token.
    assert number.removeprefix("+") not in json.dumps(claims)

    assert told["again"]["status"] == 401
    challenge = told["again"]["challenge"]
    assert (challenge["scheme"], challenge["parameters"]["error"]) == ("bearer", "invalid_token")
    assert told["replayed"] == {"type": "ResponseBodyError", "error": "invalid_grant"}


def test_a_device_behind_a_hotspot_is_refused(sandbox: Service) -> None:
    told = story(sandbox, "hotspot-guest")
    assert told == {"refused": {"type": "AuthorizationResponseError", "error": "access_denied"}}
