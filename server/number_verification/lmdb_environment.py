"""LMDB as both embedded stores use it: opened, filled, kept from running full, and swept.

Files that are written through a map are allocated beforehand: a hole would be a fatal signal once the disk is full.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import lmdb

from number_verification.domain.faults import StoreFull, StoreUnavailable

if TYPE_CHECKING:
    from lmdb import _Database as Database

    Transaction: TypeAlias = lmdb.Transaction[bytes]

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


def fault(error: lmdb.Error, path: Path) -> StoreUnavailable:
    """What the caller of a store is told of LMDB's error: which directory, and why, but no content."""
    if isinstance(error, lmdb.MapFullError):
        return StoreFull(f"{path}: the map is full; give the store a greater map size")
    # Only errors that LMDB itself raised have a code and a reason.
    code, reason = getattr(error, "code", 0), getattr(error, "reason", "") or type(error).__name__
    if code in _FULL or (code == errno.EIO and _no_room_on_disk(path)):
        return StoreFull(f"{path}: the disk is full")
    return StoreUnavailable(f"{path}: {reason}")


def os_fault(error: OSError, path: Path) -> StoreUnavailable:
    """The same for an error of the operating system."""
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
        allocate(path / "lock.mdb", _LOCK_SIZE)
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
        raise os_fault(error, path) from error
    environment.reader_check()
    return environment


def allocate(file: Path, size: int) -> None:
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
