"""The process that generates load, on a core of its own."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

L = TypeVar("L")
M = TypeVar("M")


class Generator:
    """Runs one load after another in the generator's process."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def __call__(self, run: Callable[[L], M], load: L) -> M:
        """Run a load there. Both must be picklable."""
        return self._pool.submit(run, load).result()


@contextmanager
def generating(cores: frozenset[int]) -> Iterator[Generator]:
    """A load generator on these cores."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, initializer=os.sched_setaffinity, initargs=(0, cores)) as pool:
        yield Generator(pool)
