"""Our signing keys: made once, rotated by the clock, shared by processes, never shown."""

import json
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from number_verification.authorization import jose, key_files, signing_keys
from number_verification.authorization.id_token import load_salt
from number_verification.authorization.jwks import StaticKeySet
from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.authorization.signing_keys import ANNOUNCED_BEFORE_USE, KEPT_AFTER_USE, SigningKeys
from number_verification.domain.clock import HOUR, MINUTE
from unit.authorization.support import NOW

DAY = 24 * HOUR
FILE = "signing-keys.json"


class Time:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def keys(tmp_path: Path, time: Time) -> SigningKeys:
    return SigningKeys(tmp_path / "keys", clock=time)


def kids(keys: SigningKeys) -> list[str]:
    return [jwk["kid"] for jwk in keys.jwks()["keys"]]


def signer(keys: SigningKeys) -> str:
    """The identifier of the key in use, after a token of it was verified with the published keys."""
    token = keys.sign({"n": 1}, typ="JWT")
    header, claims = jose.verify(token, StaticKeySet(keys.jwks()), algorithms=frozenset({"ES256"}), types=None)
    assert claims == {"n": 1}
    return str(header["kid"])


def test_first_start(keys: SigningKeys, tmp_path: Path) -> None:
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "keys" / FILE).stat().st_mode & 0o777 == 0o600
    published = keys.jwks()["keys"]
    assert len(published) == 2
    assert all(set(jwk) == {"kty", "crv", "x", "y", "kid", "use", "alg"} for jwk in published)
    assert signer(keys) == published[0]["kid"]


def test_the_same_keys_after_a_restart(keys: SigningKeys, tmp_path: Path, time: Time) -> None:
    content = (tmp_path / "keys" / FILE).read_bytes()
    assert kids(SigningKeys(tmp_path / "keys", clock=time)) == kids(keys)
    assert (tmp_path / "keys" / FILE).read_bytes() == content


def test_rotation_by_the_clock(keys: SigningKeys, time: Time) -> None:
    first, second = kids(keys)
    time.now += 30 * DAY - 1
    assert signer(keys) == first
    time.now += 1
    assert signer(keys) == second
    assert kids(keys)[:2] == [first, second]
    assert len(kids(keys)) == 3
    time.now += KEPT_AFTER_USE - 1
    assert first in kids(keys)
    time.now += 1
    assert first not in kids(keys)
    assert kids(keys)[0] == second


def test_keys_that_are_gone_are_gone_from_the_disk(keys: SigningKeys, tmp_path: Path, time: Time) -> None:
    first = kids(keys)[0]
    time.now += 30 * DAY
    signer(keys)
    assert first in stored_kids(tmp_path)
    time.now += KEPT_AFTER_USE
    signer(keys)
    assert first not in stored_kids(tmp_path)


def stored_kids(tmp_path: Path) -> list[str]:
    content = json.loads((tmp_path / "keys" / FILE).read_bytes())
    return [jose.SigningKey.from_jwk(item["jwk"]).kid for item in content["keys"]]


def test_every_key_is_announced_before_its_use(keys: SigningKeys, time: Time) -> None:
    known: dict[str, int] = {}
    for _ in range(400):
        for kid in kids(keys):
            known.setdefault(kid, time.now)
        used = signer(keys)
        assert used in known
        if known[used] != NOW:
            assert time.now - known[used] >= ANNOUNCED_BEFORE_USE
        time.now += 13 * HOUR
    assert len(known) >= 8


def test_after_a_long_sleep_the_successor_is_still_announced(keys: SigningKeys, time: Time) -> None:
    second = kids(keys)[1]
    time.now += 400 * DAY
    assert signer(keys) == second
    third = kids(keys)[-1]
    time.now += ANNOUNCED_BEFORE_USE - 1
    assert signer(keys) == second
    time.now += 1
    assert signer(keys) == third


def test_rotation_on_demand(keys: SigningKeys, tmp_path: Path, time: Time) -> None:
    other = SigningKeys(tmp_path / "keys", clock=time)
    first, second = kids(keys)
    time.now += DAY
    keys.rotate()
    assert signer(keys) == signer(other) == second
    assert kids(other) == kids(keys)
    assert kids(keys)[:2] == [first, second]
    assert len(kids(keys)) == 3
    time.now += KEPT_AFTER_USE
    assert kids(other)[0] == second
    time.now += 30 * DAY - KEPT_AFTER_USE - 1
    assert signer(other) == second
    time.now += 1
    assert signer(other) != second


def test_a_clock_that_was_set_back(keys: SigningKeys, time: Time) -> None:
    first = kids(keys)[0]
    time.now = 0
    assert signer(keys) == first
    time.now = NOW
    assert signer(keys) == first


@pytest.mark.parametrize("rotate_after", [0, ANNOUNCED_BEFORE_USE])
def test_rotating_too_often(tmp_path: Path, rotate_after: int) -> None:
    with pytest.raises(ValueError, match="announced"):
        SigningKeys(tmp_path, rotate_after=rotate_after)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"keys":1}', b'{"keys":[{}]}', b'{"keys":[{"active_from":0,"jwk":{}}]}',
                b'{"keys":[{"active_from":0,"jwk":1}]}', b"\xff", b'{"keys":[', b"[" * 100_000],
    ids=lambda content: str(content[:20]),
)  # fmt: skip
def test_a_file_that_is_not_ours(keys: SigningKeys, tmp_path: Path, time: Time, content: bytes) -> None:
    path = tmp_path / "keys" / FILE
    path.write_bytes(content)
    with pytest.raises(KeyFileUnusable, match="not a file of signing keys"):
        SigningKeys(tmp_path / "keys", clock=time)
    # Who has keys already goes on with them, and does not overwrite what is there.
    first = kids(keys)[0]
    assert signer(keys) == first
    assert path.read_bytes() == content


def test_the_file_may_vanish_and_come_back(
    keys: SigningKeys, tmp_path: Path, time: Time, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys" / FILE
    content, before = path.read_bytes(), kids(keys)
    path.unlink()
    for _ in range(50):
        assert kids(keys) == before
    assert capfd.readouterr().err.count("signing_keys_unusable") == 1
    key_files.write(path, content)
    time.now += MINUTE
    SigningKeys(tmp_path / "keys", clock=time).rotate()
    time.now += MINUTE
    assert kids(keys)[:2] == before
    assert len(kids(keys)) == 3


def test_a_clock_that_is_set_back_does_not_put_off_the_next_try(keys: SigningKeys, tmp_path: Path, time: Time) -> None:
    path = tmp_path / "keys" / FILE
    content, before = path.read_bytes(), kids(keys)
    path.unlink()
    assert kids(keys) == before
    time.now -= HOUR
    key_files.write(path, content)
    SigningKeys(tmp_path / "keys", clock=time).rotate()
    assert len(kids(keys)) == 3


def test_keys_that_others_may_read_are_not_used(keys: SigningKeys, tmp_path: Path, time: Time) -> None:
    path = tmp_path / "keys" / FILE
    for mode in (0o640, 0o604, 0o620, 0o602):
        path.chmod(mode)
        with pytest.raises(KeyFileUnusable, match="0600"):
            SigningKeys(tmp_path / "keys", clock=time)


def test_a_directory_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileUnusable, match="cannot be used"):
        SigningKeys(tmp_path / "file")
    (tmp_path / "keys" / FILE).mkdir(parents=True)
    with pytest.raises(KeyFileUnusable, match="cannot be read"):
        SigningKeys(tmp_path / "keys")


def test_a_full_disk_keeps_what_is_there(
    keys: SigningKeys, tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys" / FILE
    content = path.read_bytes()
    first, second = kids(keys)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileUnusable, match="No space left"):
        keys.rotate()
    time.now += 30 * DAY
    assert signer(keys) == second
    assert path.read_bytes() == content
    monkeypatch.undo()
    time.now += MINUTE
    assert kids(keys)[:2] == [first, second]
    assert len(kids(keys)) == 3


def test_what_a_dead_process_left_is_no_harm(keys: SigningKeys, tmp_path: Path) -> None:
    unfinished = tmp_path / "keys" / (FILE + ".new")
    unfinished.write_bytes(b"half a fi")
    unfinished.chmod(0o644)
    keys.rotate()
    assert not unfinished.exists()
    assert (tmp_path / "keys" / FILE).stat().st_mode & 0o777 == 0o600


def test_nothing_private_shows(keys: SigningKeys, tmp_path: Path) -> None:
    secrets = [item["jwk"]["d"] for item in json.loads((tmp_path / "keys" / FILE).read_bytes())["keys"]]
    shown = repr(keys) + repr(keys._entries) + json.dumps(keys.jwks()) + repr(vars(keys))
    assert len(secrets) == 2
    assert not any(secret in shown for secret in secrets)


def _start(directory: Path, barrier: Any, results: Any) -> None:
    barrier.wait()
    keys = SigningKeys(directory, clock=lambda: NOW)
    token = keys.sign({"from": os.getpid()}, typ="JWT")
    results.put((keys.jwks(), token, load_salt(directory)))


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(4), context.Queue()
    processes = [context.Process(target=_start, args=(tmp_path / "keys", barrier, results)) for _ in range(4)]
    for process in processes:
        process.start()
    outcomes = [results.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert all(outcome[0] == outcomes[0][0] and outcome[2] == outcomes[0][2] for outcome in outcomes)
    for _, token, _ in outcomes:
        jose.verify(token, StaticKeySet(outcomes[0][0]), algorithms=frozenset({"ES256"}), types=None)


def test_threads_that_rotate_at_once_lose_nothing(keys: SigningKeys, tmp_path: Path, time: Time) -> None:
    others = [SigningKeys(tmp_path / "keys", clock=time) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(SigningKeys.rotate, others))
    published = kids(keys)
    assert len(set(published)) == len(published) == 6
    assert all(kids(other) == published for other in others)


def test_the_limits_hold_whatever_is_signed() -> None:
    assert signing_keys.KEPT_AFTER_USE > 300_000
