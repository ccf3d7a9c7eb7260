"""Answers that were given a moment ago, for packets that come again (RFC 5080 §2.2.2)."""

from collections.abc import Hashable

from number_verification.domain.clock import SECOND, Milliseconds


class RecentAnswers:
    """Keeps answers for a while, in two generations: the older one is forgotten as a whole, which costs nothing.

    Args:
        lifetime: how long an answer is kept at most, in milliseconds; at least half of it, unless there is no room.
        capacity: how many answers are kept at most.
    """

    def __init__(self, lifetime: Milliseconds = 30 * SECOND, capacity: int = 100_000) -> None:
        self._half_life = lifetime // 2
        self._half = capacity // 2
        self._young: dict[Hashable, bytes] = {}
        self._old: dict[Hashable, bytes] = {}
        self._turned: Milliseconds = 0

    def turn(self, time: Milliseconds) -> None:
        """Forget what is too old. To be called now and then.

        Args:
            time: of a clock that does not go back.
        """
        if time - self._turned >= self._half_life:
            # After a long pause both generations are too old.
            self._old = self._young if time - self._turned < 2 * self._half_life else {}
            self._young = {}
            self._turned = time

    def get(self, key: Hashable) -> bytes | None:
        """The answer that was given, None if none is known."""
        return self._young.get(key) or self._old.get(key)

    def put(self, key: Hashable, answer: bytes) -> None:
        """Keep an answer."""
        if len(self._young) >= self._half:
            self._old, self._young = self._young, {}
        self._young[key] = answer
