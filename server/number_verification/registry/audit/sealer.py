"""Seals what was recorded: brings segments to disk, checks their new lines, and signs how far they have got."""

import fcntl
import os
from pathlib import Path

from number_verification import log
from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.domain.clock import Clock
from number_verification.domain.faults import StoreUnavailable
from number_verification.lmdb_environment import os_fault
from number_verification.registry.audit import files, lines, seals
from number_verification.registry.audit.files import SEALS, day_of, path_of
from number_verification.registry.audit.seals import Head, Purged, Reached, Seal, SealKey

_NOTHING = Reached(0, 0, lines.ORIGIN.hex())


class Sealer:
    """The one that seals. There is one for a directory; the lock of one that died is free.

    Args:
        directory: where the trail lies.
        key: what seals are signed with.
        clock: wall-clock time.

    Raises:
        StoreUnavailable: another one is at work, or the trail cannot be read.
    """

    def __init__(self, directory: Path, key: SealKey, clock: Clock) -> None:
        self._directory = directory
        self._key = key
        self._clock = clock
        self._reached: dict[str, Reached] = {}
        self._damaged: set[str] = set()
        self._head = seals.NO_SEAL
        self._day = ""
        self._size = 0
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            self._lock = os.open(directory / ".sealer", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._resume()
        except OSError as error:
            raise os_fault(error, directory) from error
        except KeyFileUnusable as error:
            raise StoreUnavailable(str(error)) from None

    def close(self) -> None:
        """Let another one seal."""
        os.close(self._lock)

    def seal(self) -> int:
        """Seal what was recorded since the last time. Returns how many lines that were.

        Raises:
            StoreUnavailable: not everything could be brought to disk; it is tried again the next time.
        """
        try:
            grown = self._grown()
            if grown:
                self._append(grown, None)
        except OSError as error:
            raise os_fault(error, self._directory) from error
        except KeyFileUnusable as error:
            raise StoreUnavailable(str(error)) from None
        fresh = sum(reached.lines - self._reached.get(name, _NOTHING).lines for name, reached in grown.items())
        self._reached.update(grown)
        return fresh

    def seal_purge(self, through: str) -> None:
        """Record that all days up to this one are removed by policy, before they are.

        Raises:
            StoreUnavailable: it could not be recorded.
        """
        try:
            kept = [day for day in files.days(self._directory) if day > through]
            texts = (text for day in kept for text in seals.written(self._directory, day))
            first = next((seal for text in texts if (seal := self._key.opened(text)) is not None), None)
            number, before = (first.number, first.previous) if first else (self._head.number + 1, self._head.digest)
            self._append({}, Purged(through, number, before))
        except OSError as error:
            raise os_fault(error, self._directory) from error
        except KeyFileUnusable as error:
            raise StoreUnavailable(str(error)) from None
        self._reached = {name: r for name, r in self._reached.items() if files.day_of_segment(name) > through}

    def _resume(self) -> None:
        """Go on from what was sealed before."""
        sealed_days = [day for day in files.days(self._directory) if (self._directory / day / SEALS).exists()]
        last = ""
        # A segment is written on its own day only. What a seal of the last day left unsealed cannot be much older.
        for day in sealed_days[-2:]:
            for text in seals.written(self._directory, day):
                last = text
                if (seal := seals.unverified(text)) is not None:
                    self._reached.update(seal.segments)
        seal = self._key.opened(last)
        if seal is not None:
            self._head = Head(seal.number, seals.digest_of(last))
        noted = self._key.head()
        if noted.number > self._head.number:
            log.event("audit_seals_changed", level="error", noted=noted.number, found=self._head.number)
            # The gap stays to be seen.
            self._head = noted
        if sealed_days:
            self._day = sealed_days[-1]
            self._size = _without_half_a_line(self._directory / self._day / SEALS)

    def _grown(self) -> dict[str, Reached]:
        horizon = files.day_before(self._day) if self._day else ""
        grown: dict[str, Reached] = {}
        for day in files.days(self._directory):
            if day < horizon:
                continue
            new = False
            for name in files.segments(self._directory, day):
                former = self._reached.get(name, _NOTHING)
                reached = self._advanced(name, former)
                if reached.lines > former.lines:
                    grown[name] = reached
                    new = new or former is _NOTHING
            if new:
                files.sync_directory(self._directory / day)
                files.sync_directory(self._directory)
        return grown

    def _advanced(self, name: str, former: Reached) -> Reached:
        path = path_of(self._directory, name)
        found = path.stat().st_size
        if name in self._damaged or found == former.size:
            return former
        if found < former.size:
            self._tell_damage(name, former.lines)
            return former
        count, size, chain = former.lines, former.size, bytes.fromhex(former.chain)
        with path.open("rb") as file:
            file.seek(size)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break
                line = lines.split(raw)
                if line is None or (following := lines.chained(chain, line.content)).hex().encode() != line.chain:
                    self._tell_damage(name, count)
                    break
                count, size, chain = count + 1, size + len(raw), following
            os.fsync(file.fileno())
        return Reached(count, size, chain.hex())

    def _tell_damage(self, name: str, line: int) -> None:
        self._damaged.add(name)
        log.event("audit_damaged", level="error", segment=name, line=line)

    def _append(self, grown: dict[str, Reached], purged: Purged | None) -> None:
        now = self._clock()
        day = max(day_of(now), self._day)
        text = self._key.signed(Seal(self._head.number + 1, self._head.digest, now, grown, purged))
        path = self._directory / day / SEALS
        new = day != self._day
        if new:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._day, self._size = day, 0
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(descriptor).st_size != self._size:
                log.event("audit_seals_changed", level="error", noted=self._head.number, day=day)
                self._size = _without_half_a_line(path)
            self._write(descriptor, text.encode() + b"\n")
        finally:
            os.close(descriptor)
        self._head = Head(self._head.number + 1, seals.digest_of(text))
        if new:
            files.sync_directory(path.parent)
            files.sync_directory(self._directory)
            # Whoever keeps the log elsewhere has a witness that this machine's administrator cannot change.
            log.event("audit_sealed", day=day, number=self._head.number, digest=self._head.digest)
        self._key.note(self._head)

    def _write(self, descriptor: int, line: bytes) -> None:
        try:
            written = os.write(descriptor, line)
            while written < len(line):
                written += os.write(descriptor, line[written:])
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, self._size)
            raise
        self._size += len(line)


def _without_half_a_line(path: Path) -> int:
    """Cut off what a death in the middle of writing left behind. Returns the size."""
    content = path.read_bytes()
    size = content.rfind(b"\n") + 1
    if size < len(content):
        os.truncate(path, size)
    return size
