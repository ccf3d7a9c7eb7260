"""Reads the trail in the order of time, from any place on, while it is being written.

A place is the time, the segment and the number of a record. Within a segment times never go back, and a segment holds
the records of one day, so that the order of these three is the order of time, and a place is found again by search.
"""

import heapq
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from number_verification.authorization.jose import parse_object
from number_verification.domain.audit import AuditKind, AuditRecord
from number_verification.domain.clock import Milliseconds
from number_verification.lmdb_environment import os_fault
from number_verification.registry.audit import files, lines
from number_verification.registry.audit.files import day_of, path_of

SCANNED_AT_ONCE = 100_000
"""Lines that are looked at for one page: whoever looks for what is rare gets an empty page and the place to go on."""


class Query(NamedTuple):
    """Which records are wanted. What is empty or None does not restrict them."""

    start: Milliseconds | None = None
    end: Milliseconds | None = None
    """The first instant that is not wanted any more."""
    kind: AuditKind | None = None
    application: str = ""
    customer: str = ""
    channel_partner: str = ""
    outcome: str = ""
    digests: frozenset[str] | None = None
    """The hashes of a subscriber's number."""

    def wants(self, record: AuditRecord) -> bool:
        """Whether a record is one of them, its time aside."""
        return (
            (self.kind is None or record.kind is self.kind)
            and self.application in ("", record.application)
            and self.customer in ("", record.customer)
            and self.channel_partner in ("", record.channel_partner)
            and self.outcome in ("", record.outcome)
            and (self.digests is None or record.number.digest in self.digests)
        )


class Place(NamedTuple):
    """Where a record stands."""

    time: Milliseconds
    segment: str
    sequence: int


class Page(NamedTuple):
    """Some records, and where to go on."""

    records: list[AuditRecord]
    next: Place | None
    """After which place to go on; None after the last."""


def page(directory: Path, query: Query, size: int, after: Place | None = None) -> Page:
    """Up to `size` records. There may be fewer, or none, before the last page.

    Raises:
        StoreUnavailable: the trail cannot be read.
    """
    records: list[AuditRecord] = []
    try:
        for scanned, (place, record) in enumerate(_places(directory, query, after), 1):
            if record is not None:
                records.append(record)
            if len(records) == size or scanned == SCANNED_AT_ONCE:
                return Page(records, place)
    except OSError as error:
        raise os_fault(error, directory) from error
    return Page(records, None)


def encode_place(place: Place) -> str:
    """A place as text that means nothing to others."""
    return urlsafe_b64encode(json.dumps(place._asdict()).encode()).decode()


def decode_place(text: str) -> Place | None:
    """The place that `encode_place` made the text of; None for any other text."""
    try:
        members = parse_object(urlsafe_b64decode(text.encode("ascii")))
        time, segment, sequence = (members[name] for name in Place._fields)
    except (ValueError, KeyError):
        return None
    if type(time) is not int or type(sequence) is not int or not isinstance(segment, str):
        return None
    return Place(time, segment, sequence) if 0 <= time < files.END and files.is_segment(segment) else None


def _places(directory: Path, query: Query, after: Place | None) -> Iterator[tuple[Place, AuditRecord | None]]:
    """Every record's place within the times wanted, and the record if it is wanted."""
    start = max(query.start or 0, after.time if after else 0)
    first, last = day_of(start), day_of(query.end - 1) if query.end is not None else "9999"
    for day in files.days(directory):
        if not first <= day <= last:
            continue
        opened = [_of_segment(directory, segment, query, start) for segment in files.segments(directory, day)]
        for place, record in heapq.merge(*opened, key=lambda found: found[0]):
            if query.end is not None and place.time >= query.end:
                break
            if after is None or place > after:
                yield place, record


def _of_segment(
    directory: Path, segment: str, query: Query, start: Milliseconds
) -> Iterator[tuple[Place, AuditRecord | None]]:
    wanted = [digest.encode() for digest in query.digests] if query.digests is not None else None
    try:
        file = path_of(directory, segment).open("rb")
    except FileNotFoundError:
        return  # purged meanwhile
    with file:
        _seek(file, start)
        for raw in file:
            found = _time_and_number(raw)
            if found is None or found[0] < start or not found[1]:
                continue
            record = None
            # To look for a hash in a line takes a fraction of what it takes to read the line.
            if wanted is None or any(digest in raw for digest in wanted):
                line = lines.split(raw)
                members = lines.parsed(line.content) if line is not None else None
                record = lines.record_of(members) if members is not None else None
            yield Place(found[0], segment, found[1]), record if record and query.wants(record) else None


def _time_and_number(raw: bytes) -> tuple[Milliseconds, int] | None:
    """When a line was written, and its number; None for the header and for what is no line."""
    if not raw.startswith(b'{"seq":') or not raw.endswith(b"\n"):
        return None
    number, _, rest = raw[7:48].partition(b',"time":')
    time = rest.partition(b",")[0]
    return (int(time), int(number)) if number.isdigit() and time.isdigit() else None


def _seek(file: BinaryIO, start: Milliseconds) -> None:
    """Go to the beginning of a line before which all are too early."""
    low, high = 0, file.seek(0, 2)
    while high - low > 4096:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        found = next((each for raw in islice(file, 2) if (each := _time_and_number(raw)) is not None), None)
        if found is None or found[0] >= start:
            high = middle
        else:
            low = middle
    file.seek(low)
    if low:
        file.readline()
