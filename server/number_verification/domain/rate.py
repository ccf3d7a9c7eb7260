"""Token buckets: how often one peer may call."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable


class TokenBuckets:
    """One token bucket for each peer. Safe for threads.

    Args:
        rate: calls a second that are refilled.
        burst: calls that may come at once.
        capacity: peers remembered; the one not heard of for longest is forgotten first. A peer that is forgotten starts
            with a full bucket, so the capacity bounds memory and not only precision.
        clock: seconds, monotonic.
    """

    def __init__(
        self, rate: float, burst: float, *, capacity: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._capacity = capacity
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, peer: str) -> float:
        """Take one call from a peer's bucket.

        Returns:
            0 if there was one, else the seconds until there is one.
        """
        now = self._clock()
        with self._lock:
            level, since = self._buckets.pop(peer, (self._burst, now))
            level = min(self._burst, level + (now - since) * self._rate)
            wait = 0.0 if level >= 1 else (1 - level) / self._rate
            self._buckets[peer] = (level - 1 if level >= 1 else level, now)
            if len(self._buckets) > self._capacity:
                self._buckets.popitem(last=False)
        return wait
