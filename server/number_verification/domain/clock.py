"""Wall-clock time, in the one unit that the domain uses."""

import time
from collections.abc import Callable
from typing import TypeAlias

Milliseconds: TypeAlias = int
"""An instant in milliseconds since the Unix epoch, or a length of time in milliseconds."""

Clock: TypeAlias = Callable[[], Milliseconds]

SECOND: Milliseconds = 1_000
MINUTE: Milliseconds = 60 * SECOND
HOUR: Milliseconds = 60 * MINUTE


def now() -> Milliseconds:
    """The current instant."""
    return time.time_ns() // 1_000_000
