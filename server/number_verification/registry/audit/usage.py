"""Usage: how often each application did what, counted from the trail, each record exactly once."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from number_verification.domain.usage import Usage
from number_verification.lmdb_environment import os_fault
from number_verification.registry.audit import files, lines
from number_verification.registry.audit.files import day_of, path_of

READ_AT_ONCE = 8 << 20
"""Bytes that are counted in one transaction of the store."""


class UsageStore(Protocol):
    """Keeps what was counted. One process counts at a time.

    Both methods raise StoreUnavailable, and then nothing was done.
    """

    def checkpoints(self) -> Mapping[str, int]:
        """How many bytes of each segment were counted; a segment that is not there was not begun yet."""
        ...

    def add(self, counts: Mapping[Usage, int], checkpoints: Mapping[str, int]) -> None:
        """Add to the counts, and set the checkpoints of the segments given: both or nothing, in one transaction.

        Checkpoints of other segments stay. What was added is on disk when this returns.
        """
        ...


def count(directory: Path, store: UsageStore) -> int:
    """Count what was recorded since the last time. Returns how many records that were.

    The store moves counts and checkpoints together: whatever dies when, each record is counted once.

    Raises:
        StoreUnavailable: not everything could be counted; what was is not counted again.
    """
    checkpoints = dict(store.checkpoints())
    total = 0
    for day in files.days(directory):
        for segment in files.segments(directory, day):
            while True:
                counts, offset = _counted(directory, segment, checkpoints.get(segment, 0))
                if offset == checkpoints.get(segment, 0):
                    break
                store.add(counts, {segment: offset})
                checkpoints[segment] = offset
                total += sum(counts.values())
    return total


def is_counted(directory: Path, day: str, checkpoints: Mapping[str, int]) -> bool:
    """Whether every record of a day has been counted.

    Raises:
        StoreUnavailable: that cannot be told.
    """
    return all(
        _counted(directory, segment, checkpoints.get(segment, 0))[1] == checkpoints.get(segment, 0)
        for segment in files.segments(directory, day)
    )


def _counted(directory: Path, segment: str, offset: int) -> tuple[Counter[Usage], int]:
    """The counts of the lines that follow an offset, and the offset after them. Half a line is left for later."""
    counts: Counter[Usage] = Counter()
    path = path_of(directory, segment)
    try:
        if path.stat().st_size <= offset:
            return counts, offset
        with path.open("rb") as file:
            file.seek(offset)
            limit = offset + READ_AT_ONCE
            while offset < limit and (raw := file.readline()).endswith(b"\n"):
                offset += len(raw)
                usage = _usage(raw)
                if usage is not None:
                    counts[usage] += 1
    except FileNotFoundError:
        return counts, offset  # purged meanwhile
    except OSError as error:
        raise os_fault(error, directory) from error
    return counts, offset


def _usage(raw: bytes) -> Usage | None:
    """What a line counts for; None for headers, and where no application is known."""
    line = lines.split(raw)
    members = lines.parsed(line.content) if line is not None else None
    if members is None or not members.get("application"):
        return None
    try:
        # Every record passes here. A whole one, with all its members checked, would take twice as long to make.
        return Usage(day_of(int(members["time"])), *(str(members[name]) for name in Usage._fields[1:]))
    except (KeyError, ValueError, TypeError, OverflowError, OSError):
        return None
