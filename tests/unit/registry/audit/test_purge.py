"""Purging: whole days by policy, said under seal before, and no other day ever."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from number_verification.domain.faults import StoreUnavailable
from number_verification.registry.audit import files, verify
from number_verification.registry.audit.files import DAY, day_of, path_of
from number_verification.registry.audit.purge import purge
from unit.registry.audit.support import NUMBERS, START, Place


@pytest.fixture
def ten_days(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("ten-days"), days=2)
    for day in range(10):
        made.now = START + day * DAY
        made.record(3)
        made.sealer.seal()
    yield made
    made.end()


def purged(place: Place, keep_days: int, uncounted: str = "") -> list[str]:
    checkpoints = {
        name: path_of(place.audit, name).stat().st_size
        for name in place.segments()
        if not name.startswith(uncounted or "-")
    }
    return purge(place.audit, place.sealer, place.numbers, keep_days=keep_days, now=place.now, checkpoints=checkpoints)


def test_days_that_are_too_old_go_and_nothing_is_found_amiss(ten_days: Place) -> None:
    assert purged(ten_days, 4) == [day_of(START + day * DAY) for day in range(5)]
    assert files.days(ten_days.audit) == [day_of(START + day * DAY) for day in range(5, 10)]
    assert ten_days.kinds() == []
    assert purged(ten_days, 4) == []
    # And on it goes.
    ten_days.restart()
    for _ in range(3):
        ten_days.a_day_later()
        ten_days.record(2)
        ten_days.sealer.seal()
    assert len(purged(ten_days, 4)) == 3
    assert ten_days.kinds() == []


def test_the_last_day_that_is_kept(ten_days: Place) -> None:
    assert purged(ten_days, 9) == []
    assert purged(ten_days, 8) == [day_of(START)]
    ten_days.now += 40 * DAY
    assert len(purged(ten_days, 1)) == 9
    assert ten_days.kinds() == []


def test_what_was_not_counted_stays(ten_days: Place) -> None:
    waits = day_of(START + 2 * DAY)
    assert purged(ten_days, 4, uncounted=waits) == [day_of(START), day_of(START + DAY)]
    assert files.days(ten_days.audit)[0] == waits
    assert ten_days.kinds() == []


def test_interrupted_and_gone_on_with(ten_days: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    remove, removed = shutil.rmtree, []

    def dies(path: object) -> None:
        if len(removed) == 2:
            raise OSError(5, "Input/output error")
        removed.append(path)
        remove(path)  # type: ignore[call-overload]

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", dies)
        with pytest.raises(StoreUnavailable):
            purged(ten_days, 4)
    assert ten_days.kinds() == ["purge_unfinished"] * 2
    assert ten_days.verify().tampering == 0
    ten_days.restart()
    assert len(purged(ten_days, 4)) == 2
    assert ten_days.kinds() == []
    assert not list(ten_days.audit.glob(".purged*"))


def test_verifying_meanwhile(ten_days: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    check, days = verify._check_segment, []

    def purging(*arguments: Any) -> None:
        if not days:
            days.extend(purged(ten_days, 4))
        check(*arguments)

    monkeypatch.setattr(verify, "_check_segment", purging)
    found = ten_days.verify()
    assert (found.findings, found.segments) == ([], 5)
    assert len(days) == 5


def test_a_day_that_somebody_else_removed_is_not_excused(ten_days: Place) -> None:
    purged(ten_days, 4)
    shutil.rmtree(ten_days.audit / day_of(START + 5 * DAY))
    assert ten_days.kinds() == ["seals_missing"]


def test_a_seal_of_a_purge_that_was_forged(ten_days: Place) -> None:
    shutil.rmtree(ten_days.audit / day_of(START))
    assert ten_days.kinds() == ["seals_missing"]


def test_the_keys_of_what_is_purged_are_forgotten(ten_days: Place) -> None:
    before = ten_days.numbers.digests(NUMBERS[0])
    purged(ten_days, 4)
    after = ten_days.numbers.digests(NUMBERS[0])
    assert after < before
    kept = b"".join(path.read_bytes() for path in ten_days.paths())
    assert all(digest.encode() in kept for digest in after)
    assert not any(digest.encode() in kept for digest in before - after)
