"""Where the audit trail lies: a directory for each UTC day, in it the segments of that day and its seals.

A segment is named by its path below the trail's directory, without an ending: `2026-03-01/1772323200000-4711-9f3c01ab`.
Its parts are the instant it began at in milliseconds, the process that writes it, and something random.
"""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from number_verification.domain.clock import HOUR, SECOND, Milliseconds

DAY: Milliseconds = 24 * HOUR
END: Milliseconds = 253_402_300_800_000
"""The beginning of the year 10000, for which no day has a name."""
SEALS = "seals.jws"
ENDING = ".jsonl"

_DAY_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SEGMENT_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}/[0-9]+-[0-9]+-[0-9a-f]{8}")


def day_of(time: Milliseconds) -> str:
    """The UTC day of an instant, as directories are named."""
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%d")


def start_of(day: str) -> Milliseconds:
    """When a day began."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * SECOND


def day_before(day: str) -> str:
    """The day before a day."""
    return day_of(start_of(day) - DAY)


def days(directory: Path) -> list[str]:
    """The days of which there is anything, in order."""
    try:
        return sorted(name for name in os.listdir(directory) if _DAY_NAME.fullmatch(name))  # noqa: PTH208 - names only
    except FileNotFoundError:
        return []


def segments(directory: Path, day: str) -> list[str]:
    """The segments of a day, in the order in which they began."""
    try:
        names = os.listdir(directory / day)  # noqa: PTH208 - names only
    except FileNotFoundError:
        return []  # purged meanwhile
    found = [f"{day}/{name.removesuffix(ENDING)}" for name in names if name.endswith(ENDING)]
    return sorted(filter(is_segment, found), key=began)


def is_segment(name: str) -> bool:
    """Whether a text is the name of a segment."""
    return _SEGMENT_NAME.fullmatch(name) is not None


def began(segment: str) -> tuple[Milliseconds, str]:
    """When a segment began; the same instant is put in order by name."""
    return int(segment.rpartition("/")[2].partition("-")[0]), segment


def day_of_segment(segment: str) -> str:
    """The day that a segment belongs to."""
    return segment.partition("/")[0]


def path_of(directory: Path, segment: str) -> Path:
    """The file of a segment."""
    return directory / f"{segment}{ENDING}"


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
