"""Verifies the whole trail: what was changed, removed, put in or cut off since it was sealed."""

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.domain.faults import StoreUnavailable
from number_verification.lmdb_environment import os_fault
from number_verification.registry.audit import files, lines, seals
from number_verification.registry.audit.files import SEALS, day_of_segment, path_of
from number_verification.registry.audit.seals import NO_SEAL, Head, Purged, Reached, SealKey

MAX_FINDINGS = 1000
"""Findings that are told one by one; more are only counted."""


class FindingKind(enum.StrEnum):
    """What was found."""

    LINE_CHANGED = "line_changed"
    """A line does not fit its chain value."""
    LINE_MALFORMED = "line_malformed"
    """A line has not the form of one."""
    LINES_OUT_OF_ORDER = "lines_out_of_order"
    """The number of a line does not follow that of the line before: lines were removed, put in or moved."""
    TAIL_MISSING = "tail_missing"
    """A segment is shorter than it was sealed."""
    SEALED_OTHERWISE = "sealed_otherwise"
    """The lines of a segment fit each other, but are not those that were sealed."""
    LINES_UNSEALED = "lines_unsealed"
    """Lines that were not there when their day was sealed."""
    SEGMENT_MISSING = "segment_missing"
    """A segment was sealed and is gone."""
    SEGMENT_RENAMED = "segment_renamed"
    """A segment lies under another name than its own."""
    SEAL_FORGED = "seal_forged"
    """A seal was not signed by us."""
    SEALS_MISSING = "seals_missing"
    """Seals before this one are gone, a whole day of them perhaps."""
    SEALS_CUT_OFF = "seals_cut_off"
    """The latest seals are gone."""
    FILE_UNKNOWN = "file_unknown"
    """Something that is no part of the trail."""
    TORN_TAIL = "torn_tail"
    """Half a line at the end of a segment, not sealed: what a death in the middle of writing leaves. No tampering."""
    PURGE_UNFINISHED = "purge_unfinished"
    """A day that was to be purged is still there. No tampering."""


_HARMLESS = frozenset({FindingKind.TORN_TAIL, FindingKind.PURGE_UNFINISHED})


class Finding(NamedTuple):
    """One thing that was found."""

    kind: FindingKind
    place: str
    """A segment, a file or a day below the trail's directory."""
    line: int = 0
    """Which line of it, counted from 0."""

    @property
    def is_tampering(self) -> bool:
        """Whether nothing but a change from outside explains it."""
        return self.kind not in _HARMLESS


@dataclass(slots=True)
class Verification:
    """What a verification came to."""

    findings: list[Finding] = field(default_factory=list)
    tampering: int = 0
    """Findings that mean tampering, those that are not listed included."""
    segments: int = 0
    records: int = 0
    sealed_records: int = 0
    """Those that a seal stands for. What is not sealed yet could be cut off without a trace."""
    seals: int = 0
    head: Head = NO_SEAL
    """The latest seal. Noted elsewhere, it shows later whether this trail was replaced as a whole."""

    def note(self, finding: Finding) -> None:
        """Add a finding."""
        self.tampering += finding.is_tampering
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(finding)


class _Sealed(NamedTuple):
    """What the seals say in sum."""

    reached: Mapping[str, Reached]
    through: str
    """The last day that was purged; empty for none."""
    last_day: str
    """The day of the latest seal; empty for none."""


def verify(directory: Path, key: SealKey) -> Verification:
    """Look at every line and every seal.

    May run while records are written and days are purged: it begins anew then.

    Raises:
        StoreUnavailable: the trail cannot be read.
    """
    while True:
        first = files.days(directory)[:1]
        try:
            result = _verified(directory, key)
        except FileNotFoundError:
            if files.days(directory)[:1] == first:
                raise StoreUnavailable(f"{directory}: files go away while they are read") from None
            continue
        except OSError as error:
            raise os_fault(error, directory) from error
        except KeyFileUnusable as error:
            raise StoreUnavailable(str(error)) from None
        if files.days(directory)[:1] == first:
            return result


def _verified(directory: Path, key: SealKey) -> Verification:
    result = Verification()
    # Read before the seals: there may be more of them then, never fewer.
    noted = key.head()
    sealed = _read_seals(directory, key, noted, result)
    seen = set()
    for day in files.days(directory):
        if day <= sealed.through:
            result.note(Finding(FindingKind.PURGE_UNFINISHED, day))
            continue
        _look_for_strangers(directory, day, result)
        for segment in files.segments(directory, day):
            seen.add(segment)
            _check_segment(directory, segment, sealed, result)
    for segment in sealed.reached:
        if segment not in seen:
            result.note(Finding(FindingKind.SEGMENT_MISSING, segment))
    return result


@dataclass(slots=True)
class _SealedDay:
    """The seals of one day."""

    before: Head
    """The seal that was read before the first of this day."""
    first: Head | None = None
    """Which seal the first of this day says it follows; None if there is none."""
    findings: list[Finding] = field(default_factory=list)


def _read_seals(directory: Path, key: SealKey, noted: Head, result: Verification) -> _Sealed:
    reached: dict[str, Reached] = {}
    found_days: dict[str, _SealedDay] = {}
    purged = Purged("", 1, "")
    head = NO_SEAL
    kept_the_noted = noted.number == 0
    for day in files.days(directory):
        texts = list(seals.written(directory, day))
        found_day = found_days[day] = _SealedDay(head)
        for index, text in enumerate(texts):
            place = f"{day}/{SEALS}"
            # Whether the next one vouches for this one by naming its digest; otherwise its own signature has to.
            following = seals.unverified(texts[index + 1]) if index + 1 < len(texts) else None
            digest = seals.digest_of(text)
            seal = seals.unverified(text) if following and following.previous == digest else key.opened(text)
            if seal is not None and seal.purged is not None:
                seal = key.opened(text)
            if seal is None:
                found_day.findings.append(Finding(FindingKind.SEAL_FORGED, place, index))
                continue
            follows = Head(seal.number - 1, seal.previous)
            if found_day.first is None:
                found_day.first = follows
            elif follows != head:
                found_day.findings.append(Finding(FindingKind.SEALS_MISSING, place, index))
            head = Head(seal.number, digest)
            kept_the_noted = kept_the_noted or head == noted
            result.seals += 1
            reached.update(seal.segments)
            if seal.purged is not None:
                purged = max(purged, seal.purged)
    _check_days(found_days, purged, result)
    if not kept_the_noted:
        result.note(Finding(FindingKind.SEALS_CUT_OFF, ""))
    result.head = head
    last_day = max((day for day, found_day in found_days.items() if found_day.first is not None), default="")
    kept = {name: where for name, where in reached.items() if day_of_segment(name) > purged.through}
    return _Sealed(kept, purged.through, last_day)


def _check_days(found_days: Mapping[str, _SealedDay], purged: Purged, result: Verification) -> None:
    """Whether each day goes on from the day before, and the first one from what was purged."""
    expected: Head | None = Head(purged.first_kept - 1, purged.digest_before)
    for day, found_day in found_days.items():
        if day <= purged.through:
            continue
        for finding in found_day.findings:
            result.note(finding)
        if found_day.first is None:
            continue
        if found_day.first != (expected or found_day.before):
            result.note(Finding(FindingKind.SEALS_MISSING, f"{day}/{SEALS}", 0))
        expected = None


def _look_for_strangers(directory: Path, day: str, result: Verification) -> None:
    known = {path_of(directory, segment).name for segment in files.segments(directory, day)} | {SEALS}
    for path in (directory / day).iterdir():
        if path.name not in known:
            result.note(Finding(FindingKind.FILE_UNKNOWN, f"{day}/{path.name}"))


def _check_segment(directory: Path, segment: str, sealed: _Sealed, result: Verification) -> None:
    reached = sealed.reached.get(segment, Reached(0, 0, ""))
    count = 0
    for finding, chain in _checked_lines(path_of(directory, segment), segment, reached.lines):
        if finding is not None:
            result.note(finding)
        if chain:
            count += 1
            if count == reached.lines and chain.decode("ascii", "replace") != reached.chain:
                result.note(Finding(FindingKind.SEALED_OTHERWISE, segment, count - 1))
    result.segments += 1
    result.records += max(0, count - 1)
    result.sealed_records += max(0, min(count, reached.lines) - 1)
    if count < reached.lines:
        result.note(Finding(FindingKind.TAIL_MISSING, segment, count))
    elif count > reached.lines and sealed.last_day and day_of_segment(segment) < files.day_before(sealed.last_day):
        # The sealer looks at the day before as well, and at every segment when it starts.
        result.note(Finding(FindingKind.LINES_UNSEALED, segment, reached.lines))


def _checked_lines(path: Path, segment: str, sealed_lines: int) -> Iterator[tuple[Finding | None, bytes]]:
    """Each line's finding, if there is one, and its chain value; an empty one for what does not count as a line."""
    chain, number = lines.ORIGIN, 0
    with path.open("rb") as file:
        for index, raw in enumerate(file):
            line = lines.split(raw)
            if line is None:
                # After a power cut, blocks that were never written may read as zeros: no newline among them either.
                torn = index >= sealed_lines and not raw.endswith(b"\n")
                yield Finding(FindingKind.TORN_TAIL if torn else FindingKind.LINE_MALFORMED, segment, index), b""
                continue
            members = lines.parsed(line.content)
            finding = None
            if lines.chained(chain, line.content).hex().encode() != line.chain:
                finding = Finding(FindingKind.LINE_CHANGED, segment, index)
            elif members is None:
                finding = Finding(FindingKind.LINE_MALFORMED, segment, index)
            elif members["seq"] != number:
                finding = Finding(FindingKind.LINES_OUT_OF_ORDER, segment, index)
            elif not number and members.get("segment") != segment:
                finding = Finding(FindingKind.SEGMENT_RENAMED, segment, index)
            yield finding, line.chain
            # Go on from what the line claims: each change is told once.
            try:
                chain = bytes.fromhex(line.chain.decode("ascii", "replace"))
            except ValueError:
                chain = b""
            number = members["seq"] + 1 if members is not None else number + 1
