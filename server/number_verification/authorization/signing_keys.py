"""Our signing keys: kept in a directory that all processes share, published, and rotated by the clock.

Every key has an instant from which it signs. The one that signs now is the latest whose instant has come; its successor
is made and published long before, so that whoever caches our keys knows it when it is needed; predecessors stay
published until all they signed has expired. Processes agree on the key without talking to each other.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from number_verification import log
from number_verification.authorization import key_files
from number_verification.authorization.jose import SigningKey, UnusableKey, VerificationKey, parse_object
from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.domain import clock as clocks
from number_verification.domain.clock import HOUR, MINUTE, Clock, Milliseconds

ROTATE_AFTER: Milliseconds = 30 * 24 * HOUR
KEPT_AFTER_USE: Milliseconds = HOUR
"""How long a key stays published after its last use: longer than anything that we sign lives."""
ANNOUNCED_BEFORE_USE: Milliseconds = HOUR
"""The least time for which a key is published before the clock brings it into use."""

_FILE = "signing-keys.json"
_RETRY_AFTER: Milliseconds = MINUTE


class _Entry(NamedTuple):
    active_from: Milliseconds
    key: SigningKey


_Entries = Sequence[_Entry]


class SigningKeys:
    """Signs, and says with which keys to check; a `KeySource` for what we signed. Safe for threads and processes.

    Args:
        directory: where the keys are kept; created, and filled, if need be.
        rotate_after: how long a key signs, more than `ANNOUNCED_BEFORE_USE`.
        clock: wall-clock time.

    Raises:
        KeyFileUnusable: the directory or what is in it cannot be used.
        ValueError: `rotate_after` is too short.
    """

    def __init__(
        self, directory: Path, *, rotate_after: Milliseconds = ROTATE_AFTER, clock: Clock = clocks.now
    ) -> None:
        if rotate_after <= ANNOUNCED_BEFORE_USE:
            raise ValueError("keys must be used for longer than they are announced before")
        self._directory = directory
        self._path = directory / _FILE
        self._rotate_after = rotate_after
        self._clock = clock
        self._guard = threading.Lock()
        self._seen: tuple[int, ...] | None = None
        self._retry_at: Milliseconds = 0
        self._entries: _Entries = ()
        self._update(self._maintained)

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """A JWS in compact serialization, signed with the current key."""
        entries = self._current_entries()
        return entries[_current(entries, self._clock())].key.sign(claims, typ=typ)

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JWK set: the one in use, its successor, and those whose tokens may still be around."""
        entries, now = self._current_entries(), self._clock()
        return {"keys": [entry.key.public_jwk() for entry in _still_needed(entries, now)]}

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The published key with this identifier. Whatever we sign names its key."""
        for entry in _still_needed(self._current_entries(), self._clock()):
            if entry.key.kid == kid and algorithm == "ES256":
                return entry.key.verification_key()
        return None

    def rotate(self) -> None:
        """Bring the next key into use now.

        Raises:
            KeyFileUnusable: the keys cannot be written.
        """
        self._update(self._rotated)

    def _current_entries(self) -> _Entries:
        """The keys as they are in the directory, brought up to date; the last ones known if that fails."""
        now = self._clock()
        if now < self._retry_at - _RETRY_AFTER:
            self._retry_at = 0  # the clock was set back
        if now >= self._retry_at:
            try:
                if self._signature() != self._seen:
                    self._load()
                if self._maintained(self._entries, now) is not self._entries:
                    self._update(self._maintained)
            except KeyFileUnusable as error:
                self._retry_at = now + _RETRY_AFTER
                log.event("signing_keys_unusable", level="error", why=str(error))
        return self._entries

    def _signature(self) -> tuple[int, ...] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _load(self) -> None:
        with self._guard:
            # Taken before reading: a change in between is then seen the next time.
            seen = self._signature()
            entries = self._read()
            if not entries:
                raise KeyFileUnusable(f"{self._path} is gone or holds no keys")
            self._entries, self._seen = entries, seen

    def _read(self) -> _Entries:
        content = key_files.read(self._path)
        if content is None:
            return ()
        try:
            stored = parse_object(content)["keys"]
            return [_Entry(int(item["active_from"]), SigningKey.from_jwk(item["jwk"])) for item in stored]
        except (ValueError, TypeError, KeyError, AttributeError, UnusableKey):
            raise KeyFileUnusable(f"{self._path} is not a file of signing keys") from None

    def _update(self, change: Callable[[_Entries, Milliseconds], _Entries]) -> None:
        with key_files.locked(self._directory):
            stored = self._read()
            changed = change(stored, self._clock())
            if changed is not stored:
                content = [{"active_from": entry.active_from, "jwk": entry.key.private_jwk()} for entry in changed]
                key_files.write(self._path, json.dumps({"keys": content}).encode())
        self._load()

    def _maintained(self, entries: _Entries, now: Milliseconds) -> _Entries:
        """The keys without those that nobody needs any more, and with a successor; the same object if they are so."""
        if not entries:
            return self._maintained([_Entry(now, SigningKey.generate())], now)
        needed = _still_needed(entries, now)
        if _current(needed, now) == len(needed) - 1:
            due = max(needed[-1].active_from + self._rotate_after, now + ANNOUNCED_BEFORE_USE)
            needed = [*needed, _Entry(due, SigningKey.generate())]
        return entries if needed == list(entries) else needed

    def _rotated(self, entries: _Entries, now: Milliseconds) -> _Entries:
        entries = self._maintained(entries, now)
        successor = _current(entries, now) + 1
        begun = [*entries[:successor], entries[successor]._replace(active_from=now)]
        return self._maintained(begun, now)


def _current(entries: _Entries, now: Milliseconds) -> int:
    """Which key signs: the latest whose instant has come, or the first if the clock was set back before them all."""
    return max((index for index, entry in enumerate(entries) if entry.active_from <= now), default=0)


def _still_needed(entries: _Entries, now: Milliseconds) -> _Entries:
    """The keys without those whose successor has been in use for long enough."""
    return [
        entry
        for entry, successor in zip(entries, [*entries[1:], None], strict=True)
        if successor is None or now < successor.active_from + KEPT_AFTER_USE
    ]
