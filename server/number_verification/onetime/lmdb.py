"""The embedded one-time store, and what both embedded stores share of LMDB.

What it keeps is worth nothing once the machine has died, so it is never synced to disk: the kernel keeps the pages of a
killed process, and after a reboot the store starts empty and says so. It writes straight into the mapped file.

Files that are written through a map are allocated beforehand: a hole would be a fatal signal once the disk is full.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import lmdb

from number_verification.domain.clock import MINUTE, Clock, Milliseconds
from number_verification.domain.faults import StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from lmdb import _Database as Database

    Transaction: TypeAlias = lmdb.Transaction[bytes]

FAR_FUTURE: Final[Milliseconds] = 2**63 - 1

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_READERS: Final = 1024
_LOCK_SIZE: Final = (_READERS + 8) * 64
"""LMDB maps and writes its lock file too: 64 bytes for each reader, and a header."""

_LITTLE_ROOM: Final = 1 << 20
_FORGOTTEN_AT_ONCE: Final = 500
_VISITED_AT_ONCE: Final = 20_000

_PAGE_SIZE: Final = os.sysconf("SC_PAGE_SIZE")
_SPARE_PAGES: Final = 64
_PAGES_TOUCHED: Final = 8
"""How many pages one changed entry changes at most: from the root of its tree to its leaf, and its index."""

_INSTANT: Final = struct.Struct("<q")
# Every entry begins with the instant at which it expires. Keys begin with what they are.
_VALUE: Final = b"v"
_MARK: Final = b"m"
_SINCE_KEY: Final = b"#remembers since"
_PURGED_KEY: Final = b"#purged up to"


def fault(error: lmdb.Error, path: Path) -> StoreUnavailable:
    """What the caller of a store is told of LMDB's error: which directory, and why, but no content."""
    if isinstance(error, lmdb.MapFullError):
        return StoreFull(f"{path}: the map is full; give the store a greater map size")
    # Only errors that LMDB itself raised have a code and a reason.
    code, reason = getattr(error, "code", 0), getattr(error, "reason", "") or type(error).__name__
    if code in _FULL or (code == errno.EIO and _no_room_on_disk(path)):
        return StoreFull(f"{path}: the disk is full")
    return StoreUnavailable(f"{path}: {reason}")


def _os_fault(error: OSError, path: Path) -> StoreUnavailable:
    if error.errno in _FULL:
        return StoreFull(f"{path}: the disk is full")
    return StoreUnavailable(f"{path}: {error.strerror}")


def _no_room_on_disk(path: Path) -> bool:
    """Whether a write may have been cut short by a full disk, which LMDB reports as an input/output error."""
    try:
        return shutil.disk_usage(path).free < _LITTLE_ROOM
    except OSError:
        return False


def open_environment(
    path: Path, map_size: int, *, max_dbs: int = 0, sync: bool = True, writemap: bool = False
) -> lmdb.Environment:
    """Open the LMDB environment in a directory, which is created where only its last part is missing.

    Once per process and directory; LMDB allows no more.

    Raises:
        StoreUnavailable: it cannot be opened.
    """
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        _allocate(path / "lock.mdb", _LOCK_SIZE)
        environment = lmdb.open(
            str(path),
            map_size=map_size,
            max_dbs=max_dbs,
            sync=sync,
            writemap=writemap,
            mode=0o600,
            max_readers=_READERS,
            max_spare_txns=16,
            # Look-ups are random: reading ahead would fill memory with what nobody asked for.
            readahead=False,
        )
    except lmdb.Error as error:
        raise fault(error, path) from error
    except OSError as error:
        raise _os_fault(error, path) from error
    environment.reader_check()
    return environment


def _allocate(file: Path, size: int) -> None:
    """Allocate the part of a file that is not there yet.

    Never touch one that is: where the file system cannot allocate, zeros are written, and closing a lock file lets go
    of LMDB's locks.
    """
    allocated = file.stat().st_size if file.exists() else 0
    if allocated < size:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, allocated, size - allocated)
        finally:
            os.close(descriptor)


def keep_room(txn: Transaction, databases: Iterable[Database], map_size: int, touched: int = 1) -> None:
    """Refuse to end a transaction that would leave no room for forgetting.

    LMDB writes a changed page to a free one, even where it deletes, and only the transaction after the next may use the
    old one. Filled to the last page, a map would be of no use for ever.

    Args:
        txn: with all its changes made.
        databases: all there are.
        map_size: in bytes.
        touched: how many entries were changed.

    Raises:
        lmdb.MapFullError: it has to be aborted.
    """
    pages = 0
    for database in databases:
        stat = txn.stat(database)
        pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
    # LMDB's own list of free pages takes up to one page in 512, twice while it is changed.
    spare = _SPARE_PAGES + map_size // _PAGE_SIZE // 128
    if (pages + min(pages, touched * _PAGES_TOUCHED) + spare) * _PAGE_SIZE > map_size:
        raise lmdb.MapFullError("room is kept for forgetting")


def sweep(
    txn: Transaction, database: Database, start: bytes, is_old: Callable[[bytes], bool], limit: int
) -> tuple[list[bytes], bytes]:
    """The keys of up to `limit` old entries among those that stand next, and where the next sweep should start.

    Entries carry no index by age: it would cost a second write wherever one is made.
    """
    old: list[bytes] = []
    key = start
    visited = 0
    with txn.cursor(database) as cursor:
        cursor.set_range(start)
        for key, raw in islice(cursor, _VISITED_AT_ONCE):
            visited += 1
            if is_old(raw):
                old.append(key)
                if len(old) >= limit:
                    return old, key
    return old, key if visited == _VISITED_AT_ONCE else b""


def in_chunks(keys: Sequence[bytes], limit: int, forget: Callable[[Sequence[bytes], int], int]) -> int:
    """Forget entries a chunk at a time, so that no writer waits for long. Returns how many were forgotten.

    Forgetting takes room too, until its transaction ends. Where there is little, chunks are made smaller.

    Args:
        keys: which ones.
        limit: how many may be forgotten at most.
        forget: forgets the keys given, and as many entries as its second argument at most; all in one transaction.

    Raises:
        StoreFull: there is no room for forgetting a single one.
    """
    forgotten = start = 0
    size = _FORGOTTEN_AT_ONCE
    while start < len(keys):
        chunk = keys[start : start + size]
        try:
            forgotten += forget(chunk, limit - forgotten)
        except StoreFull:
            if size == 1:
                raise
            size = max(1, size // 8)
            continue
        start += size
    return forgotten


class LmdbOneTimeStore:
    """A `OneTimeStore` in a directory of its own, for one instance per process.

    Args:
        path: the directory; its parent must exist.
        map_size: bytes that are set aside for it, the same in all processes.
        clock: tells what has expired.
        boot_id: what distinguishes this life of the machine from others; asked of the kernel where None.

    Raises:
        StoreFull: the disk has no room for `map_size` bytes.
        StoreUnavailable: the directory is missing, unreadable, not writable or holds something else.
    """

    def __init__(self, path: Path, map_size: int, clock: Clock, *, boot_id: str | None = None) -> None:
        self._path = path
        self._clock = clock
        try:
            self._environment = _opened(path, map_size, clock, boot_id or _BOOT_ID.read_text().strip())
        except OSError as error:
            raise _os_fault(error, path) from error
        self._entries = self._environment.open_db()
        self._map_size = self._environment.info()["map_size"]
        self._seen = b""
        with self._environment.begin() as txn:
            self._remembers_since = _instant(txn.get(_SINCE_KEY))

    @property
    def remembers_since(self) -> Milliseconds:
        """See `OneTimeStore.remembers_since`."""
        return self._remembers_since

    def put(self, key: bytes, value: bytes, expires_at: Milliseconds) -> None:
        """See `OneTimeStore.put`."""
        try:
            with self._environment.begin(write=True) as txn:
                txn.put(_VALUE + key, _INSTANT.pack(expires_at) + value)
                keep_room(txn, (self._entries,), self._map_size)
        except lmdb.Error as error:
            raise fault(error, self._path) from error

    def take(self, key: bytes) -> bytes | None:
        """See `OneTimeStore.take`."""
        try:
            with self._environment.begin(write=True) as txn:
                raw = txn.pop(_VALUE + key)
        except lmdb.Error as error:
            raise fault(error, self._path) from error
        if raw is None or _INSTANT.unpack_from(raw)[0] <= self._clock():
            return None
        return raw[_INSTANT.size :]

    def add(self, key: bytes, expires_at: Milliseconds) -> bool:
        """See `OneTimeStore.add`."""
        try:
            with self._environment.begin(write=True) as txn:
                # The clock may have been ahead when a mark was purged, and have been put right since.
                if expires_at <= _instant(txn.get(_PURGED_KEY)):
                    return False
                added = txn.put(_MARK + key, _INSTANT.pack(expires_at), overwrite=False)
                keep_room(txn, (self._entries,), self._map_size)
                return added
        except lmdb.Error as error:
            raise fault(error, self._path) from error

    def purge(self, limit: int) -> int:
        """See `OneTimeStore.purge`. One call looks at a part of the store, and the next one goes on from there."""
        now = self._clock()
        try:
            # Readers that were killed keep old pages from being used again.
            self._environment.reader_check()
            with self._environment.begin() as txn:
                old, self._seen = sweep(
                    txn, self._entries, self._seen, lambda raw: _INSTANT.unpack_from(raw)[0] <= now, limit
                )
        except lmdb.Error as error:
            raise fault(error, self._path) from error
        return in_chunks(old, limit, lambda keys, _: self._forget(keys, now))

    def _forget(self, keys: Sequence[bytes], now: Milliseconds) -> int:
        forgotten = 0
        try:
            with self._environment.begin(write=True) as txn:
                purged = before = _instant(txn.get(_PURGED_KEY))
                for key in keys:
                    raw = txn.get(key)
                    if raw is not None and (expired := _INSTANT.unpack_from(raw)[0]) <= now:
                        purged = max(purged, expired)
                        txn.delete(key)
                        forgotten += 1
                if purged > before:
                    txn.put(_PURGED_KEY, _kept(purged))
                if len(keys) > 1:
                    keep_room(txn, (self._entries,), self._map_size, len(keys))
        except lmdb.Error as error:
            raise fault(error, self._path) from error
        return forgotten

    def probe(self) -> None:
        """See `OneTimeStore.probe`."""
        key = b"probe " + os.urandom(8)
        self.put(key, key, self._clock() + MINUTE)
        if self.take(key) != key:
            raise StoreUnavailable(f"{self._path}: what was put cannot be taken")

    def close(self) -> None:
        """See `OneTimeStore.close`."""
        self._environment.close()


def _opened(path: Path, map_size: int, clock: Clock, boot_id: str) -> lmdb.Environment:
    """Open what this life of the machine keeps, or begin it.

    Each life has a directory of its own, named by its boot id. What an earlier one left, and never synced, may be
    damaged, and is not even opened. The new directory is there, with what it has to tell, before the old ones go: a
    process killed in between leaves nothing that looks like a fresh start.
    """
    path.mkdir(mode=0o700, exist_ok=True)
    current, unfinished = path / f"boot-{boot_id}", path / "unfinished"
    with _locked(path / "lock"):
        shutil.rmtree(unfinished, ignore_errors=True)
        former = [entry for entry in path.glob("boot-*") if entry != current]
        if not current.exists():
            _begin(unfinished, map_size, since=clock() if former else 0)
            unfinished.rename(current)
            # After a power cut, too, it must be known that there was a life before.
            _sync_directory(path)
            _sync_directory(path.parent)
        for entry in former:
            shutil.rmtree(entry)
        _allocate(current / "data.mdb", map_size)
        return open_environment(current, map_size, sync=False, writemap=True)


def _begin(path: Path, map_size: int, since: Milliseconds) -> None:
    open_environment(path, map_size, sync=False).close()
    _allocate(path / "data.mdb", map_size)
    environment = open_environment(path, map_size, sync=False, writemap=True)
    try:
        with environment.begin(write=True) as txn:
            txn.put(_SINCE_KEY, _kept(since))
    finally:
        environment.close()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _kept(instant: Milliseconds) -> bytes:
    """An entry that never expires and holds an instant."""
    return _INSTANT.pack(FAR_FUTURE) + _INSTANT.pack(instant)


def _instant(raw: bytes | None) -> Milliseconds:
    """The instant that an entry ends with; 0 where there is none."""
    instant: Milliseconds = _INSTANT.unpack_from(raw, len(raw) - _INSTANT.size)[0] if raw is not None else 0
    return instant
