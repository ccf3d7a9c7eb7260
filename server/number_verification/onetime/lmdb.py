"""The embedded one-time store.

What it keeps is worth nothing once the machine has died, so it is never synced to disk: the kernel keeps the pages of a
killed process, and after a reboot the store starts empty and says so. It writes straight into the mapped file.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import lmdb

from number_verification.domain.clock import MINUTE, Clock, Milliseconds
from number_verification.domain.faults import StoreUnavailable
from number_verification.lmdb_environment import (
    allocate,
    fault,
    in_chunks,
    keep_room,
    open_environment,
    os_fault,
    sweep,
)

if TYPE_CHECKING:
    Transaction: TypeAlias = lmdb.Transaction[bytes]

FAR_FUTURE: Final[Milliseconds] = 2**63 - 1

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_INSTANT: Final = struct.Struct("<q")
# Every entry begins with the instant at which it expires. Keys begin with what they are.
_VALUE: Final = b"v"
_MARK: Final = b"m"
_SINCE_KEY: Final = b"#remembers since"
_PURGED_KEY: Final = b"#purged up to"


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
            raise os_fault(error, path) from error
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
        self._put(key, value, expires_at, touched=1)

    def _put(self, key: bytes, value: bytes, expires_at: Milliseconds, touched: int) -> None:
        try:
            with self._environment.begin(write=True) as txn:
                txn.put(_VALUE + key, _INSTANT.pack(expires_at) + value)
                keep_room(txn, (self._entries,), self._map_size, touched)
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
        # With room for one more, or the next `put` would be refused.
        self._put(key, key, self._clock() + MINUTE, touched=2)
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
        allocate(current / "data.mdb", map_size)
        return open_environment(current, map_size, sync=False, writemap=True)


def _begin(path: Path, map_size: int, since: Milliseconds) -> None:
    open_environment(path, map_size, sync=False).close()
    allocate(path / "data.mdb", map_size)
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
