"""ID tokens: what they say, and what they do not give away."""

import json
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from number_verification.authorization import id_token, key_files
from number_verification.authorization.id_token import IdTokens, load_salt, pairwise_subject
from number_verification.authorization.signing_keys import SigningKeys
from number_verification.domain.session import Subscriber
from unit.authorization.support import NOW, SECONDS
from unit.authorization.test_reference_tokens import ANCHOR, GRANT

SALT = bytes(range(32))


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return SigningKeys(tmp_path / "keys", clock=lambda: NOW)


def test_claims(keys: SigningKeys) -> None:
    token = IdTokens("https://issuer.example", keys, SALT).issue(GRANT, "an-access-token", "a nonce")
    decoded = jwt.decode(token, KeySet.import_key_set(keys.jwks()), algorithms=["ES256"])  # type: ignore[arg-type]
    assert decoded.claims == {
        "iss": "https://issuer.example",
        "sub": pairwise_subject(SALT, "bank", ANCHOR.subscriber),
        "aud": "bank",
        "iat": SECONDS,
        "exp": SECONDS + 300,
        "auth_time": (NOW - 5) // 1000,
        "amr": ["nba"],
        "at_hash": id_token.access_token_hash("an-access-token"),
        "nonce": "a nonce",
    }
    content = json.dumps(decoded.claims)
    assert ANCHOR.subscriber.imsi not in content
    assert ANCHOR.subscriber.phone_number[1:] not in content


def test_no_nonce_where_none_was_sent(keys: SigningKeys) -> None:
    token = IdTokens("https://issuer.example", keys, SALT).issue(GRANT, "an-access-token")
    assert "nonce" not in jwt.decode(token, KeySet.import_key_set(keys.jwks()), algorithms=["ES256"]).claims  # type: ignore[arg-type]


def test_at_hash() -> None:
    """OpenID Connect Core 1.0 appendix A.4: the access token of A.3 and its hash."""
    assert id_token.access_token_hash("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y") == "77QmUPtjPfzWtF2AnpK9RQ"


def test_subjects_are_pairwise() -> None:
    alice, bob = Subscriber("999990000000001", "+99010000001"), Subscriber("999990000000002", "+99010000002")
    names = {pairwise_subject(SALT, sector, who) for sector in ("bank", "shop") for who in (alice, bob)}
    assert len(names) == 4
    assert all(len(name) == 43 for name in names)
    assert pairwise_subject(SALT, "bank", alice) == pairwise_subject(SALT, "bank", alice)
    assert pairwise_subject(bytes(32), "bank", alice) != pairwise_subject(SALT, "bank", alice)
    assert pairwise_subject(SALT, "bank", alice._replace(phone_number="+99010000009")) in names
    assert pairwise_subject(SALT, "bank", alice._replace(imsi="")) not in names


def test_the_parts_of_a_subject_do_not_run_together() -> None:
    one, other = ("a", Subscriber("2imsi:1", "")), ("aimsi:2", Subscriber("1", ""))
    assert pairwise_subject(SALT, *one) != pairwise_subject(SALT, *other)
    assert pairwise_subject(SALT, "a", Subscriber("1", "")) != pairwise_subject(SALT, "a", Subscriber("", "1"))
    with pytest.raises(ValueError, match="no name"):
        pairwise_subject(SALT, "a", Subscriber("", ""))


def test_a_grant_without_session(keys: SigningKeys) -> None:
    tokens = IdTokens("https://issuer.example", keys, SALT)
    assert tokens.issue(GRANT._replace(anchor=None, phone_number="+99012345678"), "t")
    with pytest.raises(ValueError, match="no name"):
        tokens.issue(GRANT._replace(anchor=None), "t")
    assert SALT.hex() not in repr(tokens)
    assert repr(SALT) not in repr(tokens)


def test_the_salt_is_made_once(tmp_path: Path) -> None:
    salt = load_salt(tmp_path / "keys")
    assert len(salt) == 32
    assert load_salt(tmp_path / "keys") == salt
    assert load_salt(tmp_path / "others") != salt
    file = tmp_path / "keys" / "pairwise-salt"
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_bytes(salt[:-1])
    with pytest.raises(key_files.KeyFileUnusable) as caught:
        load_salt(tmp_path / "keys")
    assert repr(salt[:4])[2:-1] not in str(caught.value)
