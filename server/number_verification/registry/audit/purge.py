"""Removes whole days of the trail when they are older than policy keeps them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from number_verification import log
from number_verification.domain.clock import Milliseconds
from number_verification.lmdb_environment import os_fault
from number_verification.registry.audit import files, usage
from number_verification.registry.audit.files import DAY, day_of, start_of
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.sealer import Sealer

_LEFTOVER = ".purged-"


def purge(
    directory: Path,
    sealer: Sealer,
    keys: NumberKeys,
    *,
    keep_days: int,
    now: Milliseconds,
    checkpoints: Mapping[str, int],
) -> list[str]:
    """Remove the days that ended `keep_days` ago or earlier, and the keys of their numbers. Returns which days.

    A day that was not counted wholly stays, and so do those after it. A signed seal says first what is to be removed;
    where removing was interrupted, the next purge goes on with it.

    Args:
        directory: where the trail lies.
        sealer: of this directory.
        keys: what numbers are marked with.
        keep_days: how many whole days stay.
        now: wall-clock time.
        checkpoints: how far usage was counted (see `UsageStore`).

    Raises:
        StoreUnavailable: not everything could be recorded or removed.
    """
    try:
        _remove_leftovers(directory)
    except OSError as error:
        raise os_fault(error, directory) from error
    due: list[str] = []
    for day in files.days(directory):
        if day >= day_of(now - keep_days * DAY):
            break
        if not usage.is_counted(directory, day, checkpoints):
            log.event("audit_purge_waits", level="error", day=day, why="its usage was not counted")
            break
        due.append(day)
    if not due:
        return due
    sealer.seal_purge(due[-1])
    try:
        for day in due:
            # At once for whoever reads or verifies: a day is there as a whole, or not at all.
            (directory / day).rename(directory / f"{_LEFTOVER}{day}")
            _remove_leftovers(directory)
        files.sync_directory(directory)
    except OSError as error:
        raise os_fault(error, directory) from error
    keys.forget(start_of(due[-1]) + DAY)
    log.event("audit_purged", through=due[-1], days=len(due))
    return due


def _remove_leftovers(directory: Path) -> None:
    for path in directory.glob(f"{_LEFTOVER}*"):
        shutil.rmtree(path)
