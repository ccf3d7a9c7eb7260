import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import lmdb
import pytest

from conformance.one_time_store import (
    FOREVER,
    LONG_AGO,
    Race,
    add_all,
    numbered,
    race_of_processes,
    take_all,
    won_twice,
)
from number_verification import lmdb_environment
from number_verification.domain.clock import Milliseconds, now
from number_verification.domain.faults import StoreFull, StoreUnavailable
from number_verification.onetime import lmdb as engine
from number_verification.onetime.lmdb import LmdbOneTimeStore

SPAWN = multiprocessing.get_context("spawn")
SIZE = 1 << 20


class SteppingClock:
    """A clock that stands where it is put."""

    def __init__(self, time: Milliseconds) -> None:
        self.time = time

    def __call__(self) -> Milliseconds:
        return self.time


# Invariant 5, its protection taken away.


class CheckedThenMarked(LmdbOneTimeStore):
    """The fault that the store must not have: looking and marking are two transactions."""

    def take(self, key: bytes) -> bytes | None:
        with self._environment.begin() as txn:
            raw = txn.get(b"v" + key)
        if raw is not None:
            with self._environment.begin(write=True) as txn:
                txn.delete(b"v" + key)
        return raw

    def add(self, key: bytes, expires_at: Milliseconds) -> bool:
        with self._environment.begin() as txn:
            marked = txn.get(b"m" + key) is not None
        if not marked:
            with self._environment.begin(write=True) as txn:
                txn.put(b"m" + key, bytes(8))
        return not marked


@pytest.mark.parametrize("race", [take_all, add_all])
def test_without_one_transaction_two_processes_win(tmp_path: Path, race: Race) -> None:
    keys = numbered(5_000)
    opener = partial(CheckedThenMarked, tmp_path / "store", 16 << 20, now)
    store = opener()
    for key in keys:
        store.put(key, b"value", FOREVER)
    store.close()
    assert won_twice(race_of_processes(opener, race, keys)) > 0


# Death of a process.


def _use_up(path: Path, sender: Connection) -> None:
    store = LmdbOneTimeStore(path, 16 << 20, now)
    for number in range(1_000_000):
        key = b"%d" % number
        store.put(key, b"value", FOREVER)
        assert store.take(key)
        assert store.add(key, FOREVER)
        sender.send(number)


@pytest.mark.parametrize("uses", [1, 700, 2_000])
def test_what_a_killed_process_used_up_stays_so(tmp_path: Path, uses: int) -> None:
    path = tmp_path / "store"
    receiver, sender = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=_use_up, args=(path, sender))
    child.start()
    sender.close()
    last = -1
    while last < uses:
        last = receiver.recv()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    try:
        while True:
            last = receiver.recv()
    except EOFError:
        child.join()
    store = LmdbOneTimeStore(path, 16 << 20, now)
    for number in range(last + 1):
        assert store.take(b"%d" % number) is None
        assert not store.add(b"%d" % number, FOREVER)
    assert store.remembers_since == 0
    store.probe()
    store.close()


# Death of the machine.


def test_after_the_death_of_the_machine_nothing_is_left_and_the_store_says_so(tmp_path: Path) -> None:
    store = LmdbOneTimeStore(tmp_path, SIZE, lambda: 1_000, boot_id="one")
    store.put(b"code", b"value", FOREVER)
    store.add(b"jti", FOREVER)
    assert store.remembers_since == 0
    store.close()
    for opened_at in (2_000, 3_000):
        store = LmdbOneTimeStore(tmp_path, SIZE, SteppingClock(opened_at), boot_id="two")
        assert store.remembers_since == 2_000
        assert store.take(b"code") is None
        store.close()
    assert [entry.name for entry in tmp_path.glob("boot-*")] == ["boot-two"]


def test_what_a_dead_machine_left_is_not_read(tmp_path: Path) -> None:
    """It was never synced: LMDB may crash on it."""
    LmdbOneTimeStore(tmp_path, SIZE, lambda: 1_000, boot_id="one").close()
    (tmp_path / "boot-one" / "data.mdb").write_bytes(b"\xff" * 100_000)
    store = LmdbOneTimeStore(tmp_path, SIZE, lambda: 2_000, boot_id="two")
    store.probe()
    assert store.remembers_since == 2_000
    store.close()


def test_a_process_killed_while_it_begins_anew_leaves_no_fresh_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    LmdbOneTimeStore(tmp_path, SIZE, lambda: 1_000, boot_id="one").close()

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    # At every step from the first to the last but one.
    for module, step in ((engine, "_begin"), (Path, "rename"), (engine, "_sync_directory"), (shutil, "rmtree")):
        with monkeypatch.context() as patch:
            patch.setattr(module, step, killed)
            with pytest.raises(Killed):
                LmdbOneTimeStore(tmp_path, SIZE, lambda: 2_000, boot_id="two")
    store = LmdbOneTimeStore(tmp_path, SIZE, lambda: 2_000, boot_id="two")
    assert store.remembers_since == 2_000
    store.close()


def _open_and_tell(path: Path, clock: SteppingClock, line, sender: Connection) -> None:  # type: ignore[no-untyped-def]
    line.wait()
    store = LmdbOneTimeStore(path, SIZE, clock, boot_id="two")
    sender.send((store.remembers_since, store.add(b"jti", FOREVER)))
    line.wait()
    store.close()


def test_processes_that_open_at_once_agree(tmp_path: Path) -> None:
    LmdbOneTimeStore(tmp_path, SIZE, lambda: 1_000, boot_id="one").close()
    line = SPAWN.Barrier(3)
    receiver, sender = SPAWN.Pipe(duplex=False)
    children = [
        SPAWN.Process(target=_open_and_tell, args=(tmp_path, SteppingClock(2_000 + number), line, sender))
        for number in range(3)
    ]
    for child in children:
        child.start()
    told = [receiver.recv() for _ in children]
    for child in children:
        child.join()
    assert len({since for since, _ in told}) == 1
    assert told[0][0] in (2_000, 2_001, 2_002)
    assert sorted(added for _, added in told) == [False, False, True]


# The clock.


def test_a_clock_that_jumps_ahead_and_back_forgets_no_mark(tmp_path: Path) -> None:
    clock = SteppingClock(1_000)
    store = LmdbOneTimeStore(tmp_path, SIZE, clock)
    assert store.add(b"jti", 1_300)
    clock.time = 900_000
    assert store.purge(10) == 1
    clock.time = 1_001
    assert not store.add(b"jti", 1_300)
    assert not store.add(b"another", 1_299)
    assert store.add(b"jti", 1_301), "marks that no purge can have forgotten are told from those"
    store.close()
    store = LmdbOneTimeStore(tmp_path, SIZE, clock)
    assert not store.add(b"new", 1_300), "after a restart as well"
    store.close()


def test_a_value_expires_at_its_instant(tmp_path: Path) -> None:
    clock = SteppingClock(1_000)
    store = LmdbOneTimeStore(tmp_path, SIZE, clock)
    for at, taken in ((1_299, b"value"), (1_300, None), (1_301, None)):
        store.put(b"code", b"value", 1_300)
        clock.time = at
        assert store.take(b"code") == taken
    store.close()


def test_a_sweep_goes_on_where_the_last_one_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_environment, "_VISITED_AT_ONCE", 10)
    store = LmdbOneTimeStore(tmp_path, SIZE, now)
    for number in range(30):
        store.add(b"keep %02d" % number, FOREVER)
        store.put(b"%02d" % number, b"", LONG_AGO)
    assert sum(store.purge(4) for _ in range(30)) == 30
    assert store.purge(4) == 0
    assert not any(store.add(b"keep %02d" % number, FOREVER) for number in range(30))
    store.close()


def test_an_entry_renewed_during_a_sweep_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LmdbOneTimeStore(tmp_path, SIZE, now)
    store.put(b"code", b"old", LONG_AGO)
    in_chunks = engine.in_chunks

    def renewed_first(*args: object) -> int:
        store.put(b"code", b"new", FOREVER)
        return in_chunks(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(engine, "in_chunks", renewed_first)
    assert store.purge(10) == 0
    assert store.take(b"code") == b"new"
    store.close()


# No room.


def _filled(store: LmdbOneTimeStore, expires_at: Milliseconds) -> list[bytes]:
    kept = []
    with pytest.raises(StoreFull):  # noqa: PT012 - which put fails is what is asked
        for number in range(100_000):
            key = os.urandom(8) + b"%d" % number
            store.put(key, bytes(100), expires_at)
            kept.append(key)
    return kept


def test_a_full_map_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    store = LmdbOneTimeStore(tmp_path, SIZE, now)
    kept = _filled(store, FOREVER)
    assert all(store.take(key) is not None for key in kept[:50])
    store.close()


def test_a_sweep_makes_room_again(tmp_path: Path) -> None:
    clock = SteppingClock(1_000)
    store = LmdbOneTimeStore(tmp_path, SIZE, clock)
    for _ in range(3):
        expires_at = clock.time + 100
        kept = _filled(store, expires_at)
        clock.time = expires_at
        assert sum(store.purge(10_000) for _ in range(2)) == len(kept)
        store.probe()
    store.close()


def _open_with_little_room(path: Path, sender: Connection) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (SIZE // 2, limits[1]))
    try:
        LmdbOneTimeStore(path, SIZE, now)
    except StoreUnavailable as fault:
        sender.send((type(fault), str(fault)))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store = LmdbOneTimeStore(path, SIZE, now)
    store.probe()
    sender.send(store.remembers_since)
    store.close()


def test_a_disk_without_room_for_the_map_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "store"
    receiver, sender = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=_open_with_little_room, args=(path, sender))
    child.start()
    kind, message = receiver.recv()
    assert (kind, str(path) in message) == (StoreFull, True)
    assert receiver.recv() == 0
    child.join()


def test_the_map_is_allocated(tmp_path: Path) -> None:
    LmdbOneTimeStore(tmp_path, SIZE, now).close()
    LmdbOneTimeStore(tmp_path, 2 * SIZE, now).close()
    [data] = tmp_path.glob("boot-*/data.mdb")
    [lock] = tmp_path.glob("boot-*/lock.mdb")
    assert data.stat().st_blocks * 512 >= 2 * SIZE
    assert lock.stat().st_blocks * 512 >= lock.stat().st_size >= 1024 * 64


# Places that cannot be used.


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="missing"):
        LmdbOneTimeStore(tmp_path / "missing" / "store", SIZE, now)


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match="store"):
        LmdbOneTimeStore(tmp_path / "store", SIZE, now)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    LmdbOneTimeStore(tmp_path, SIZE, now, boot_id="one").close()
    (tmp_path / "boot-one" / "data.mdb").write_bytes(b"\xff" * 100_000)
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        LmdbOneTimeStore(tmp_path, SIZE, now, boot_id="one")


def test_only_its_own_directories_are_removed(tmp_path: Path) -> None:
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "data.mdb").write_bytes(b"precious")
    LmdbOneTimeStore(tmp_path, SIZE, now, boot_id="one").close()
    LmdbOneTimeStore(tmp_path, SIZE, now, boot_id="two").close()
    assert (tmp_path / "sessions" / "data.mdb").read_bytes() == b"precious"


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    LmdbOneTimeStore(path, SIZE, now).close()
    entries = [path, *path.rglob("*")]
    assert [entry for entry in entries if entry.stat().st_mode & 0o077 and entry.name != "lock"] == []


def test_drivers_errors_do_not_come_further_up(tmp_path: Path) -> None:
    store = LmdbOneTimeStore(tmp_path, SIZE, now)
    store.close()
    calls: Sequence[tuple[str, tuple[object, ...]]] = [
        ("put", (b"key", b"value", FOREVER)),
        ("take", (b"key",)),
        ("add", (b"key", FOREVER)),
        ("purge", (10,)),
        ("probe", ()),
    ]
    for name, arguments in calls:
        with pytest.raises(StoreUnavailable) as raised:
            getattr(store, name)(*arguments)
        assert isinstance(raised.value.__cause__, lmdb.Error)
