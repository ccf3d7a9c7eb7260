"""What the operating system says a server has cost, and what two servers cost compared with each other."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

_CPUCLOCK_SCHED = 2


def cpu_seconds(processes: Sequence[int]) -> float:
    """CPU time that processes have used so far, user and system, threads that ended included.

    Read from the kernel's CPU-time clock of each process (clock_getcpuclockid(3)), which counts nanoseconds where
    /proc/PID/stat counts hundredths of a second.
    """
    return sum(time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED) for pid in processes)


def process_tree(pid: int) -> list[int]:
    """A process, the processes it started, and theirs."""
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [pid, *(found for child in children for found in process_tree(child))]


class Cores(NamedTuple):
    """Which cores do what."""

    server: frozenset[int]
    load: frozenset[int]

    @property
    def are_apart(self) -> bool:
        """Whether server and load generator have a core of their own each."""
        return not self.server & self.load


def cores() -> Cores:
    """The first core that we may use for the server, the last one for everything else."""
    usable = sorted(os.sched_getaffinity(0))
    return Cores(frozenset(usable[:1]), frozenset(usable[-1:]))


@contextmanager
def running_on(chosen: frozenset[int]) -> Iterator[None]:
    """Run on these cores; processes that are started meanwhile stay there."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, chosen)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Sample(NamedTuple):
    """One measured run."""

    requests: int
    seconds: float
    cpu: float
    """Seconds of CPU of the server's processes."""

    @property
    def microseconds(self) -> float:
        """CPU of the server for each request."""
        return self.cpu / self.requests * 1e6

    @property
    def rate(self) -> float:
        """Requests answered a second."""
        return self.requests / self.seconds


class Spread(NamedTuple):
    """Several values of the same thing."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """The median of values, and how far they lie apart."""
    return Spread(statistics.median(values), min(values), max(values))


def in_turn(rounds: int, subjects: Mapping[str, Callable[[], Sample]]) -> dict[str, list[Sample]]:
    """Measure the subjects one after the other, then all again, and so on: A B A B.

    What slows the machine down for a while then slows down both sides of a pair.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, measure in subjects.items():
            samples[name].append(measure())
    return samples


def busy(samples: Mapping[str, Sequence[Sample]]) -> str:
    """How much of its time each server had its core for, in words: little where the machine has other work."""
    shares = spread([sample.cpu / sample.seconds * 100 for each in samples.values() for sample in each])
    return f"A server was running for {shares.median:.0f} % ({shares.least:.0f}–{shares.greatest:.0f}) of its time."


def microseconds(samples: Sequence[Sample]) -> Spread:
    """CPU of the server for each request."""
    return spread([sample.microseconds for sample in samples])


def rate(samples: Sequence[Sample]) -> Spread:
    """Requests answered a second."""
    return spread([sample.rate for sample in samples])


def ratio(ours: Sequence[Sample], baseline: Sequence[Sample]) -> Spread:
    """The CPU of ours for each request by the baseline's of the same round."""
    return spread([one.microseconds / other.microseconds for one, other in zip(ours, baseline, strict=True)])
