"""Writes the audit trail: one line for each record, to a file that belongs to this process alone.

A record is in the kernel's hands when `record` returns: killing the process takes nothing back. No process waits for
another, and nothing waits for the disk; what a power cut may take is what was not sealed yet (see `seals`).
"""

import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path

from number_verification.domain.audit import AuditRecord, NumberMark
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.domain.faults import StoreUnavailable
from number_verification.lmdb_environment import os_fault
from number_verification.registry.audit import lines
from number_verification.registry.audit.files import DAY, day_of, path_of, start_of
from number_verification.registry.audit.numbers import NumberKeys

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_SET_BACK: Milliseconds = SECOND
"""By how much a record may lie before the one that was written last. Threads take turns, clocks are corrected."""
_PROBE_BYTES = 4096
_NO_NUMBER = NumberMark()


@dataclass(slots=True)
class _Segment:
    """The file that is written to, and where it has got to."""

    descriptor: int
    ends: Milliseconds
    size: int = 0
    sequence: int = -1
    time: Milliseconds = 0
    chain: bytes = lines.ORIGIN

    def takes(self, time: Milliseconds) -> bool:
        return self.time - _SET_BACK <= time < self.ends


class AuditTrail:
    """Appends records. Safe for threads; any number of processes may have one on the same directory.

    Within a segment times never go back: a record that is late by up to a second gets the time of the one before it,
    and a clock that was set back begins another segment.

    Args:
        directory: where the trail lies; created if need be.
        keys: what marks numbers.

    Raises:
        StoreUnavailable: nothing could be written there.
    """

    def __init__(self, directory: Path, keys: NumberKeys) -> None:
        self._directory = directory
        self._keys = keys
        self._guard = threading.Lock()
        self._segment: _Segment | None = None
        self._boot_id = _BOOT_ID.read_text().strip()
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise os_fault(error, directory) from error

    def record(self, record: AuditRecord, phone_number: str = "") -> None:
        """Write a record down; when this returns, the death of the process cannot undo it.

        Raises:
            StoreUnavailable: nothing of it was written.
        """
        time = record.time
        mark = self._keys.mark(phone_number, time) if phone_number else _NO_NUMBER
        text = lines.body(record, mark)
        with self._guard:
            segment = self._segment
            if segment is None or not segment.takes(time):
                segment = self._begin(time)
            time = max(time, segment.time)
            self._append(segment, lines.content(segment.sequence + 1, time, text))
            segment.time = time

    def probe(self) -> None:
        """Raise StoreUnavailable if nothing could be written."""
        path = self._directory / f".probe-{os.getpid()}"
        try:
            try:
                path.write_bytes(bytes(_PROBE_BYTES))
            finally:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise os_fault(error, self._directory) from error

    def close(self) -> None:
        """Let go of the file. A record that comes later begins another one."""
        with self._guard:
            self._abandon()

    def _begin(self, time: Milliseconds) -> _Segment:
        self._abandon()
        day = day_of(time)
        name = f"{day}/{time}-{os.getpid()}-{secrets.token_hex(4)}"
        path = path_of(self._directory, name)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise os_fault(error, self._directory) from error
        segment = self._segment = _Segment(descriptor, start_of(day) + DAY)
        try:
            self._append(segment, lines.header(name, self._boot_id).encode())
        except StoreUnavailable:
            self._abandon()
            path.unlink(missing_ok=True)
            raise
        return segment

    def _append(self, segment: _Segment, content: bytes) -> None:
        chain = lines.chained(segment.chain, content)
        line = lines.line(content, chain)
        try:
            written = os.write(segment.descriptor, line)
            while written < len(line):
                written += os.write(segment.descriptor, line[written:])
        except OSError as error:
            self._cut_back(segment)
            raise os_fault(error, self._directory) from error
        segment.size += written
        segment.sequence += 1
        segment.chain = chain

    def _cut_back(self, segment: _Segment) -> None:
        """Take half a line out again. Where not even that can be done, the segment ends here."""
        try:
            os.ftruncate(segment.descriptor, segment.size)
        except OSError:
            self._abandon()

    def _abandon(self) -> None:
        if self._segment is not None:
            os.close(self._segment.descriptor)
            self._segment = None
