"""Usage: each record is counted exactly once, whatever dies when."""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from number_verification.registry.audit import usage
from number_verification.registry.audit.files import DAY, day_of
from number_verification.registry.audit.usage import Usage, count, is_counted
from unit.registry.audit.support import START, Place


class Died(Exception):
    """Stands for the death of the process."""


class FileStore:
    """Keeps everything in one file, which is replaced as a whole: what a transaction does.

    Args:
        lives: calls of `add` before the process dies; the odd ones die before the file is replaced, the even ones
            after.
    """

    def __init__(self, path: Path, lives: int = -1) -> None:
        self._path = path
        self._lives = lives

    def _load(self) -> dict[str, dict[str, int]]:
        loaded: dict[str, dict[str, int]] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return loaded or {"counts": {}, "checkpoints": {}}

    def checkpoints(self) -> Mapping[str, int]:
        return self._load()["checkpoints"]

    def counts(self) -> Counter[Usage]:
        return Counter({Usage(*json.loads(key)): number for key, number in self._load()["counts"].items()})

    def add(self, counts: Mapping[Usage, int], checkpoints: Mapping[str, int]) -> None:
        if self._lives == 1:
            raise Died
        stored = self._load()
        for key, number in counts.items():
            name = json.dumps(key)
            stored["counts"][name] = stored["counts"].get(name, 0) + number
        stored["checkpoints"].update(checkpoints)
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(json.dumps(stored))
        unfinished.replace(self._path)
        if self._lives == 2:
            raise Died
        self._lives -= 2


APP, CUSTOMER, HUB = "organizations/bank/applications/app", "organizations/bank", "organizations/hub"


def test_what_is_counted_together(place: Place) -> None:
    place.record(3)
    place.record(2, outcome="UNAUTHENTICATED")
    place.record(1, operation="token", channel_partner="")
    place.record(4, application="", customer="", channel_partner="", principal="operator")
    place.a_day_later()
    place.record(5)
    store = FileStore(place.root / "usage")
    assert count(place.audit, store) == 11
    first, second = day_of(START), day_of(START + DAY)
    assert store.counts() == {
        Usage(first, APP, CUSTOMER, HUB, "/s.S/M", "OK"): 3,
        Usage(first, APP, CUSTOMER, HUB, "/s.S/M", "UNAUTHENTICATED"): 2,
        Usage(first, APP, CUSTOMER, "", "token", "OK"): 1,
        Usage(second, APP, CUSTOMER, HUB, "/s.S/M", "OK"): 5,
    }
    assert count(place.audit, store) == 0
    place.record(2)
    assert count(place.audit, store) == 2


def test_half_a_line_is_left_for_later(place: Place) -> None:
    place.record(2)
    (path,) = place.paths()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    store = FileStore(place.root / "usage")
    assert count(place.audit, store) == 1
    assert not is_counted(place.audit, day_of(START), {})
    path.write_bytes(whole)
    assert count(place.audit, store) == 1
    assert is_counted(place.audit, day_of(START), store.checkpoints())


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12), st.booleans()), min_size=1, max_size=12))
def test_exactly_once_whatever_dies_when(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    place = Place(tmp_path_factory.mktemp("usage"))
    written = 0
    with pytest.MonkeyPatch.context() as patched:
        # Many transactions for few records.
        patched.setattr(usage, "READ_AT_ONCE", 1500)
        for records, lives, restarts in steps:
            place.record(records)
            written += records
            if restarts:
                place.trail.close()
            with suppress(Died):
                count(place.audit, FileStore(place.root / "usage", lives))
        store = FileStore(place.root / "usage")
        count(place.audit, store)
    assert store.counts().total() == written
    place.end()
