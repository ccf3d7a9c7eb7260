import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

import lmdb
import pytest

from conformance.events import ADDRESS, ALICE, BOB, T, allocated, prefix, restart, start, stop, update, who_has
from conformance.session_store import dump
from number_verification import lmdb_environment as shared
from number_verification.domain.faults import StoreFull, StoreUnavailable
from number_verification.domain.session import Event, Ipv4Address, SessionEvent, SessionKey, SessionRecord, joined
from number_verification.lmdb_environment import open_environment
from number_verification.sessions import codec
from number_verification.sessions.lmdb import LmdbSessionStore

SPAWN = multiprocessing.get_context("spawn")
SIZE = 64 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LmdbSessionStore]:
    store = LmdbSessionStore(tmp_path / "store", SIZE)
    yield store
    store.close()


def batch(number: int, size: int = 50, nas: str = "gw-1") -> list[SessionEvent]:
    """Sessions that no other batch has, each with an address of its own."""
    first = number * size
    return [
        start(f"{n:08}", 0, ipv4=Ipv4Address("home", (10 << 24 | n).to_bytes(4, "big")), nas=nas)
        for n in range(first, first + size)
    ]


# Death of a process.


def _record_batches(path: Path, sender: Connection) -> None:
    store = LmdbSessionStore(path, SIZE)
    for number in range(10_000):
        store.record(batch(number), T)
        sender.send(number)


@pytest.mark.parametrize("batches", [1, 60])
def test_what_a_killed_process_acknowledged_is_there(tmp_path: Path, batches: int) -> None:
    receiver, sender = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=_record_batches, args=(tmp_path / "store", sender))
    child.start()
    sender.close()
    last = -1
    while last < batches:
        last = receiver.recv()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    try:
        while True:
            last = receiver.recv()
    except EOFError:
        child.join()
    store = LmdbSessionStore(tmp_path / "store", SIZE)
    for number in range(last + 1):
        for event in batch(number):
            assert event.ipv4 is not None
            assert store.session(event.key) is not None
            assert who_has(store, event.ipv4) == ALICE
    # Of a batch that was being recorded, all or nothing.
    assert len(store.sessions(None, 1_000_000)) in (50 * (last + 1), 50 * (last + 2))
    store.record(batch(20_000), T)
    store.close()


def test_commits_are_synced(store: LmdbSessionStore) -> None:
    """A killed process proves nothing of this, for the kernel keeps its pages. Only the flags tell."""
    flags = store._environment.flags()
    assert (flags["sync"], flags["metasync"], flags["map_async"], flags["writemap"]) == (True, True, False, False)


def _read_and_wait(path: Path, sender: Connection) -> None:
    store = LmdbSessionStore(path, SIZE)
    with store._environment.begin() as txn:
        sender.send(txn.id())
        signal.pause()


def test_a_reader_that_was_killed_is_forgotten(tmp_path: Path, store: LmdbSessionStore) -> None:
    receiver, sender = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=_read_and_wait, args=(tmp_path / "store", sender))
    child.start()
    assert child.pid is not None
    receiver.recv()
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert str(child.pid) in store._environment.readers()
    store.purge(T, 10)
    assert str(child.pid) not in store._environment.readers()


# Several processes.


def _record_as(path: Path, nas: str, line, done) -> None:  # type: ignore[no-untyped-def]
    store = LmdbSessionStore(path, SIZE)
    line.wait()
    for number in range(20):
        store.record([*batch(number, 10, f"{nas}-{number % 4}"), update("shared", number, ipv4=ADDRESS)], T)
    store.close()
    done.send(nas)


def test_processes_may_write_at_once(tmp_path: Path) -> None:
    line = SPAWN.Barrier(2)
    receiver, sender = SPAWN.Pipe(duplex=False)
    children = [SPAWN.Process(target=_record_as, args=(tmp_path / "store", nas, line, sender)) for nas in ("x", "y")]
    for child in children:
        child.start()
    assert {receiver.recv() for _ in children} == {"x", "y"}
    for child in children:
        child.join()
    store = LmdbSessionStore(tmp_path / "store", SIZE)
    for nas in ("x", "y"):
        for number in range(20):
            for event in batch(number, 10, f"{nas}-{number % 4}"):
                assert store.session(event.key) is not None
    assert len(store.sessions(None, 1_000)) == 401
    store.close()


# No room.


def test_a_full_map_records_nothing_of_the_batch(tmp_path: Path) -> None:
    store = LmdbSessionStore(tmp_path / "store", 1 << 20)
    recorded = 0
    with pytest.raises(StoreFull):  # noqa: PT012 - which batch fails is what is asked
        for number in range(1_000):
            store.record(batch(number, 10), T)
            recorded += 10
    assert recorded > 500
    assert len(store.sessions(None, 100_000)) == recorded
    [first, *_] = batch(recorded // 10, 10)
    assert first.ipv4 is not None
    assert not store.sightings(first.ipv4)
    store.probe()
    store.close()


def _fill(store: LmdbSessionStore, events: Callable[[int], Sequence[Event]]) -> int:
    """Record batch after batch until there is no room. Returns how many were recorded."""
    for number in count():
        try:
            store.record(events(number), T)
        except StoreFull:
            return number
    raise AssertionError


def test_forgetting_makes_room_again(tmp_path: Path) -> None:
    store = LmdbSessionStore(tmp_path / "store", 1 << 20)
    for number in range(3):
        recorded = _fill(store, lambda n: batch(n, 20))
        # Small changes find room for longer.
        _fill(store, lambda n: [restart(0, f"{number}-{n}-{'x' * 100}")])  # noqa: B023 - called at once
        assert sum(store.purge(T + 1, 100_000) for _ in range(2)) == recorded * 20
        assert not store.sessions(None, 1)
    store.close()


def test_without_room_kept_a_full_store_would_be_full_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The protection taken away: small changes fill the map to its last page, and then even forgetting fails."""
    monkeypatch.setattr(shared, "_SPARE_PAGES", -(10**9))
    store = LmdbSessionStore(tmp_path / "store", 1 << 20)
    _fill(store, lambda n: batch(n, 20))
    _fill(store, lambda n: [restart(0, f"{n}-{'x' * 100}")])
    with pytest.raises(StoreFull):
        store.purge(T + 1, 100_000)
    store.close()


def _record_on_a_full_disk(path: Path, sender: Connection) -> None:
    store = LmdbSessionStore(path, SIZE)
    store.record(batch(0), T)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    recorded = 50
    try:
        for number in range(1, 1_000):
            store.record(batch(number), T)
            recorded += 50
    except StoreUnavailable as fault:
        sender.send((type(fault), str(fault), recorded, len(store.sessions(None, 1_000_000))))
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    store.record(batch(5_000), T)
    sender.send(len(store.sessions(None, 1_000_000)))
    store.close()


def test_a_full_disk_records_nothing_of_the_batch(tmp_path: Path) -> None:
    receiver, sender = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=_record_on_a_full_disk, args=(tmp_path / "store", sender))
    child.start()
    kind, message, recorded, found = receiver.recv()
    # A write cut short is an input/output error to LMDB, and this disk is not really full.
    assert issubclass(kind, StoreUnavailable)
    assert message in (f"{tmp_path / 'store'}: {why}" for why in ("the disk is full", "Input/output error"))
    assert found == recorded
    assert receiver.recv() == recorded + 50
    child.join()


def test_the_lock_file_is_allocated(tmp_path: Path, store: LmdbSessionStore) -> None:
    """LMDB writes it through a map: on a full disk, a hole in it would be a fatal signal."""
    lock = (tmp_path / "store" / "lock.mdb").stat()
    assert lock.st_blocks * 512 >= lock.st_size >= 1024 * 64


def test_a_batch_that_fails_in_the_middle_leaves_nothing(
    store: LmdbSessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record([start("a", 0)], T)
    before = dump(store)
    encode_session = codec.encode_session

    def fails_at_the_third(stored: codec.StoredSession) -> bytes:
        if stored.record.key.session_id == "d":
            raise lmdb.DiskError("mdb_put")
        return encode_session(stored)

    monkeypatch.setattr(codec, "encode_session", fails_at_the_third)
    with pytest.raises(StoreUnavailable):
        store.record([stop("a", 5), start("b", 6, BOB), allocated((1, 9), 0), start("d", 7)], T)
    assert dump(store) == before


# Places that cannot be used.


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="missing/store: No such file or directory"):
        LmdbSessionStore(tmp_path / "missing" / "store", SIZE)


def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "store").write_bytes(b"")
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        LmdbSessionStore(tmp_path / "store", SIZE)


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").write_bytes(b"\xff" * 100_000)
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        LmdbSessionStore(tmp_path, SIZE)


def test_a_directory_opened_twice_in_a_process_is_told(tmp_path: Path, store: LmdbSessionStore) -> None:
    with pytest.raises(StoreUnavailable, match=str(tmp_path)):
        LmdbSessionStore(tmp_path / "store", SIZE)
    store.probe()


def _open_as_nobody(path: Path, sender: Connection) -> None:
    if os.geteuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        LmdbSessionStore(path, SIZE)
    except StoreUnavailable as fault:
        sender.send(str(fault))


@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_a_directory_that_may_not_be_used_is_told(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "store"
    path.mkdir()
    path.chmod(mode)
    for parent in path.parents:
        if parent.stat().st_uid == os.geteuid() and parent.is_relative_to(tmp_path.parent.parent):
            parent.chmod(0o755)
    receiver, sender = SPAWN.Pipe(duplex=False)
    child = SPAWN.Process(target=_open_as_nobody, args=(path, sender))
    child.start()
    assert receiver.recv() == f"{path}: Permission denied"
    child.join()
    path.chmod(0o700)


def test_a_store_of_another_version_is_told(tmp_path: Path) -> None:
    environment = open_environment(tmp_path, SIZE, max_dbs=1)
    with environment.begin(write=True) as txn:
        txn.put(b"format", b"sessions 2", db=environment.open_db(b"meta", txn))
    environment.close()
    with pytest.raises(StoreUnavailable, match="another version"):
        LmdbSessionStore(tmp_path, SIZE)
    with pytest.raises(StoreUnavailable, match="another version"):
        LmdbSessionStore(tmp_path, SIZE)


def test_only_its_owner_may_read_it(tmp_path: Path, store: LmdbSessionStore) -> None:
    path = tmp_path / "store"
    assert [entry for entry in (path, *path.iterdir()) if entry.stat().st_mode & 0o077] == []


@pytest.mark.parametrize("damage", [b"", b"\x02" * 100, b"\x01" * 100])
def test_a_damaged_record_is_told_without_its_content(store: LmdbSessionStore, damage: bytes) -> None:
    event = start("a", 0)
    store.record([event], T)
    with store._environment.begin(write=True) as txn, txn.cursor(store._sessions) as cursor:
        assert cursor.first()
        txn.put(cursor.key(), damage, db=store._sessions)
    calls: Sequence[tuple[str, tuple[object, ...]]] = [
        ("record", ([event], T)),
        ("sightings", (ADDRESS,)),
        ("session", (event.key,)),
        ("sessions", (None, 10)),
    ]
    for name, arguments in calls:
        with pytest.raises(StoreUnavailable, match="session record") as raised:
            getattr(store, name)(*arguments)
        assert ALICE.phone_number not in str(raised.value)


def test_drivers_errors_do_not_come_further_up(tmp_path: Path) -> None:
    store = LmdbSessionStore(tmp_path / "closed", SIZE)
    store.close()
    calls: Sequence[tuple[str, tuple[object, ...]]] = [
        ("record", ([], T)),
        ("sightings", (ADDRESS,)),
        ("port_blocks", (bytes(4), 1)),
        ("session", (SessionKey("gw-1", "a"),)),
        ("sessions", (None, 10)),
        ("purge", (T, 10)),
        ("probe", ()),
    ]
    for name, arguments in calls:
        with pytest.raises(StoreUnavailable) as raised:
            getattr(store, name)(*arguments)
        assert isinstance(raised.value.__cause__, lmdb.Error)


# Sweeping.


def test_a_purge_goes_on_where_the_last_one_stopped(store: LmdbSessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_VISITED_AT_ONCE", 10)
    store.record([start(f"{n:03}", 0 if n % 4 else 9, ipv6=(prefix("20010db8/64"),)) for n in range(80)], T)
    assert sum(store.purge(T + 5, 7) for _ in range(40)) == 60
    assert len(store.sessions(None, 100)) == 20
    assert len(store.sightings(ADDRESS)) == 20
    assert len(store.sightings(prefix("20010db8/64").address)) == 20


def test_a_session_heard_of_during_a_purge_is_kept(store: LmdbSessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.record([start("a", 0)], T)
    last_seen = codec.last_seen

    def heard_of_meanwhile(raw: bytes) -> int:
        monkeypatch.setattr(codec, "last_seen", last_seen)
        seen = last_seen(raw)
        store.record([update("a", 50)], T)
        return seen

    monkeypatch.setattr(codec, "last_seen", heard_of_meanwhile)
    assert store.purge(T + 5, 10) == 0
    assert who_has(store) == ALICE


# Invariant 3, its protection taken away.


def test_without_joining_the_order_would_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overwritten(record: SessionRecord | None, event: SessionEvent) -> SessionRecord:
        return joined(None, event)._replace(first_seen=T)

    events: list[Event] = [start("a", 0), update("a", 5, BOB, ipv4=None)]

    def dumps(name: str) -> list[object]:
        found = []
        for number, order in enumerate((events, events[::-1])):
            store = LmdbSessionStore(tmp_path / f"{name}{number}", SIZE)
            store.record(order, T)
            found.append(dump(store))
            store.close()
        return found

    one, other = dumps("joined")
    assert one == other
    monkeypatch.setattr(codec, "joined", overwritten)
    one, other = dumps("overwritten")
    assert one != other
