"""The keys that numbers in audit records are hashed with: another one for each period, agreed on by all processes.

Numbers are few enough to try them all, so only the key keeps a hash from being traced back. When the records of a
period are purged its key is forgotten too, and what may be left of them in backups names nobody any more.
"""

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from number_verification.authorization import key_files
from number_verification.authorization.jose import parse_object
from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.domain.audit import NumberMark, masked
from number_verification.domain.clock import Milliseconds
from number_verification.domain.faults import StoreUnavailable
from number_verification.registry.audit.files import DAY, day_of

_FILE = "audit-number-keys.json"
_KEY_BYTES = 32


class _Period(NamedTuple):
    id: str
    begins: Milliseconds
    ends: Milliseconds
    key: bytes

    def __repr__(self) -> str:
        return f"_Period({self.id!r}, …)"


_NONE = _Period("", 0, 0, b"")


class NumberKeys:
    """Marks numbers. Safe for threads and processes.

    Args:
        directory: where our keys are kept; created if need be.
        days: how long a key is used.
    """

    def __init__(self, directory: Path, days: int) -> None:
        self._directory = directory
        self._path = directory / _FILE
        self._length: Milliseconds = days * DAY
        self._guard = threading.Lock()
        self._period = _NONE

    def mark(self, phone_number: str, time: Milliseconds) -> NumberMark:
        """What stands for a number in a record of this time.

        Raises:
            StoreUnavailable: the key of the period cannot be had.
        """
        period = self._period
        if not period.begins <= time < period.ends:
            period = self._at(time)
        digest = hmac.digest(period.key, phone_number.encode("utf-8", "replace"), "sha256")
        return NumberMark(masked(phone_number), period.id, digest.hex())

    def digests(self, phone_number: str) -> frozenset[str]:
        """The hashes of a number under every key that is kept, by which all its records are found.

        Raises:
            StoreUnavailable: the keys cannot be read.
        """
        with self._guard, _told_as_fault():
            number = phone_number.encode("utf-8", "replace")
            return frozenset(hmac.digest(period.key, number, "sha256").hex() for period in self._read())

    def forget(self, before: Milliseconds) -> None:
        """Forget the keys of periods that were over before an instant.

        Raises:
            StoreUnavailable: the keys cannot be written.
        """
        self._update(lambda periods: [period for period in periods if period.ends > before])

    def _at(self, time: Milliseconds) -> _Period:
        def with_one_of(periods: list[_Period]) -> list[_Period]:
            if any(period.begins <= time < period.ends for period in periods):
                return periods
            begins = time - time % self._length
            # Where the length was changed, periods may overlap: the one that was there first stays in use.
            begins = max([begins, *(period.ends for period in periods if period.ends <= time)])
            made = _Period(
                f"{day_of(begins)}-{secrets.token_hex(4)}",
                begins,
                begins + self._length,
                secrets.token_bytes(_KEY_BYTES),
            )
            return [*periods, made]

        periods = self._update(with_one_of)
        self._period = next(period for period in periods if period.begins <= time < period.ends)
        return self._period

    def _update(self, change: Callable[[list[_Period]], list[_Period]]) -> list[_Period]:
        with self._guard, _told_as_fault(), key_files.locked(self._directory):
            stored = self._read()
            changed = change(stored)
            if changed != stored:
                content = [
                    {"id": period.id, "from": period.begins, "until": period.ends, "key": period.key.hex()}
                    for period in changed
                ]
                key_files.write(self._path, json.dumps({"keys": content}).encode())
            return changed

    def _read(self) -> list[_Period]:
        content = key_files.read(self._path)
        if content is None:
            return []
        try:
            periods = [
                _Period(str(item["id"]), int(item["from"]), int(item["until"]), bytes.fromhex(item["key"]))
                for item in parse_object(content)["keys"]
            ]
        except (ValueError, TypeError, KeyError):
            periods = []
        if not all(len(period.key) == _KEY_BYTES for period in periods) or not periods:
            raise KeyFileUnusable(f"{self._path} is not a file of keys for numbers")
        return periods


@contextmanager
def _told_as_fault() -> Iterator[None]:
    """An unusable key file is told as the fault that stores raise."""
    try:
        yield
    except KeyFileUnusable as error:
        raise StoreUnavailable(str(error)) from None
