"""Usage: each record is counted exactly once, whatever dies when.

Seen to fail: with the checkpoints stored in a transaction of their own.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from number_verification.registry import database
from number_verification.registry.audit import usage
from number_verification.registry.audit.files import DAY, day_of
from number_verification.registry.audit.usage import Usage, count, is_counted
from number_verification.registry.usage import SqlUsage
from unit.registry.audit.support import START, Place


def opened(place: Place) -> Engine:
    engine = database.open_database(f"sqlite:///{place.root / 'registry.db'}")
    database.migrate(engine)
    return engine


@pytest.fixture
def store(place: Place) -> SqlUsage:
    return SqlUsage(opened(place))


def counts(store: SqlUsage) -> Counter[Usage]:
    rows = store.page(first_day="0000-00-00", last_day="9999-99-99", limit=1000)
    return Counter({row.usage: row.times for row in rows})


class Died(Exception):
    """Stands for the death of the process."""


class Mortal(SqlUsage):
    """Dies in place of the process.

    Args:
        engine: where everything is kept.
        lives: calls of `add` that end well count two each; it dies before the next one has begun if none is left over,
            and after it has ended if one is.
    """

    def __init__(self, engine: Engine, lives: int) -> None:
        super().__init__(engine)
        self._lives = lives

    def add(self, counts: Mapping[Usage, int], checkpoints: Mapping[str, int]) -> None:
        if self._lives == 0:
            raise Died
        super().add(counts, checkpoints)
        if self._lives == 1:
            raise Died
        self._lives -= 2


APP, CUSTOMER, HUB = "organizations/bank/applications/app", "organizations/bank", "organizations/hub"


def test_what_is_counted_together(place: Place, store: SqlUsage) -> None:
    place.record(3)
    place.record(2, outcome="UNAUTHENTICATED")
    place.record(1, operation="token", channel_partner="")
    place.record(4, application="", customer="", channel_partner="", principal="operator")
    place.a_day_later()
    place.record(5)
    assert count(place.audit, store) == 11
    first, second = day_of(START), day_of(START + DAY)
    assert counts(store) == {
        Usage(first, APP, CUSTOMER, HUB, "/s.S/M", "OK"): 3,
        Usage(first, APP, CUSTOMER, HUB, "/s.S/M", "UNAUTHENTICATED"): 2,
        Usage(first, APP, CUSTOMER, "", "token", "OK"): 1,
        Usage(second, APP, CUSTOMER, HUB, "/s.S/M", "OK"): 5,
    }
    assert count(place.audit, store) == 0
    place.record(2)
    assert count(place.audit, store) == 2


def test_half_a_line_is_left_for_later(place: Place, store: SqlUsage) -> None:
    place.record(2)
    (path,) = place.paths()
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert count(place.audit, store) == 1
    assert not is_counted(place.audit, day_of(START), {})
    path.write_bytes(whole)
    assert count(place.audit, store) == 1
    assert is_counted(place.audit, day_of(START), store.checkpoints())


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12), st.booleans()), min_size=1, max_size=12))
def test_exactly_once_whatever_dies_when(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    place = Place(tmp_path_factory.mktemp("usage"))
    engine = opened(place)
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
                count(place.audit, Mortal(engine, lives))
        count(place.audit, SqlUsage(engine))
    assert counts(SqlUsage(engine)).total() == written
    engine.dispose()
    place.end()


COUNTER = """
import sys
from pathlib import Path
from number_verification.registry import database
from number_verification.registry.audit import usage
from number_verification.registry.usage import SqlUsage

usage.READ_AT_ONCE = 1000

class Telling(SqlUsage):
    def add(self, counts, checkpoints):
        print("adding", flush=True)
        super().add(counts, checkpoints)
        print("added", flush=True)

usage.count(Path(sys.argv[1]), Telling(database.open_database(sys.argv[2])))
print("done", flush=True)
"""


def test_kill_9_while_counting(place: Place, store: SqlUsage) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    url = f"sqlite:///{place.root / 'registry.db'}"
    place.record(400)
    for told_before_death in (1, 2, 7, 8, 31, 60):
        command = [sys.executable, "-c", COUNTER, str(place.audit), url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            said = [process.stdout.readline() for _ in range(told_before_death)]
            process.kill()
        assert said[-1] in (b"adding\n", b"added\n")
    assert 0 < counts(store).total() < 400
    count(place.audit, store)
    assert counts(store).total() == 400
