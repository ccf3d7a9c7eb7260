"""What has to be done to the trail while others write it: seal it, count usage from it, purge it."""

from pathlib import Path

from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.domain.clock import SECOND, Clock, Milliseconds
from number_verification.domain.faults import StoreUnavailable
from number_verification.registry.audit import usage
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.purge import purge
from number_verification.registry.audit.sealer import Sealer
from number_verification.registry.audit.seals import SealKey
from number_verification.registry.audit.usage import UsageStore

ACCOUNT_EVERY: Milliseconds = 5 * SECOND
"""How far usage may lag behind: every look goes over the days that are kept."""


class AuditKeeper:
    """Keeps one trail. What it needs it takes when it is needed, again and again until it can be had.

    Args:
        directory: where the trail lies.
        keys_directory: where our keys are kept.
        numbers: what phone numbers are marked with.
        clock: wall-clock time.
    """

    def __init__(self, directory: Path, keys_directory: Path, numbers: NumberKeys, clock: Clock) -> None:
        self._directory = directory
        self._keys_directory = keys_directory
        self._numbers = numbers
        self._clock = clock
        self._sealer: Sealer | None = None
        self._accounted: Milliseconds = 0

    def seal(self) -> None:
        """Seal what was recorded since the last time.

        Raises:
            StoreUnavailable: it could not be sealed.
        """
        self._ready().seal()

    def account(self, store: UsageStore, keep_days: int) -> None:
        """Count usage, then purge what is too old and was counted. Does nothing if it did so a moment ago.

        Raises:
            StoreUnavailable: usage could not be counted, or days not be removed.
        """
        now = self._clock()
        if 0 <= now - self._accounted < ACCOUNT_EVERY:
            return
        usage.count(self._directory, store)
        purge(
            self._directory,
            self._ready(),
            self._numbers,
            keep_days=keep_days,
            now=now,
            checkpoints=store.checkpoints(),
        )
        self._accounted = now

    def close(self) -> None:
        """Let another one keep the trail."""
        if self._sealer is not None:
            self._sealer.close()
            self._sealer = None

    def _ready(self) -> Sealer:
        if self._sealer is None:
            try:
                key = SealKey(self._keys_directory)
            except KeyFileUnusable as error:
                raise StoreUnavailable(str(error)) from None
            self._sealer = Sealer(self._directory, key, self._clock)
        return self._sealer
