"""What every benchmark is given."""

from pathlib import Path
from typing import NamedTuple

from bench.loads.generator import Generator
from bench.measure import Cores


class Context(NamedTuple):
    """One run of the benchmarks."""

    directory: Path
    """An empty one, for what they keep."""
    cores: Cores
    generate: Generator
    rounds: int
    """How often each pair is measured."""
    requests: int
    """How many requests one measurement of one side takes."""
    sessions: tuple[int, int]
    """How many sessions the smaller and the greater store hold."""
