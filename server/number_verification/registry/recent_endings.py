"""Which grants ended in the last minutes because their subscriber withdrew: in memory, for every call to look at.

A token is given only where nothing stood against it at that moment, and lives for five minutes at most. So only what
was withdrawn in the last minutes can matter at a call, and that is little enough to keep.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from number_verification import log
from number_verification.domain.approval import ALL
from number_verification.domain.approval_records import Action, Ending
from number_verification.domain.clock import MINUTE, SECOND, Clock, Milliseconds
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.refusal import Kind, Reason, Refusal

MEMORY: Milliseconds = 400 * SECOND
"""How long an ending is kept: longer than a code (60 s) and the token it is exchanged for (300 s) live together."""

CLOCK_DIFFERENCE: Milliseconds = MINUTE
"""How far the clocks of nodes may be apart for a process that starts to find all that was recorded in MEMORY."""

CAPACITY = 200_000
"""Endings that are kept; about 60 MB."""

_MARGIN: Milliseconds = SECOND
"""How long after endings were dropped grants are refused that may have been issued before: clocks differ a little."""

_OPT_OUTS = frozenset({Action.OPTED_OUT, Action.OPTED_IN})
_EVER: Milliseconds = sys.maxsize


class EndingSource(Protocol):
    """Where endings are read: `domain.approval_records.ApprovalRecords` says what these do."""

    def change(self) -> int: ...  # noqa: D102

    def endings(  # noqa: D102
        self, after: int, until: int, recorded_from: Milliseconds, limit: int
    ) -> Sequence[Ending]: ...


class _Ended(NamedTuple):
    """What became of grants of one subscriber to an application, for a purpose."""

    opt_out: bool
    application: str
    purpose: str
    dead_before: Milliseconds
    """Grants of an earlier instant are dead. While a withdrawal or an opt-out stands, grants of any instant are: none
    can have been given since, so clocks that differ do no harm."""
    arrived: float


class _Memory:
    """Endings by subscriber. Filled by one thread and read by many."""

    __slots__ = ("by_subscriber", "change", "complete_since", "order")

    def __init__(self, change: int, complete_since: Milliseconds) -> None:
        self.change = change
        """The change up to which it goes."""
        self.complete_since = complete_since
        """What ended grants before this instant is not in here; 0 where nothing is missing."""
        self.by_subscriber: dict[bytes, tuple[_Ended, ...]] = {}
        self.order: deque[tuple[float, bytes]] = deque()
        """When which one came in, the oldest first."""

    def add(self, endings: Sequence[Ending], arrived: float) -> None:
        for ending in endings:
            stands = ending.action in (Action.WITHDRAWN, Action.OPTED_OUT)
            ended = _Ended(
                ending.action in _OPT_OUTS,
                # Names come again and again: kept once, they are a fraction of the memory.
                sys.intern(ending.application),
                sys.intern(ending.purpose),
                _EVER if stands else ending.recorded,
                arrived,
            )
            known = self.by_subscriber.get(ending.subscriber, ())
            others = (each for each in known if each[:3] != ended[:3])
            self.by_subscriber[ending.subscriber] = (*others, ended)
            self.order.append((arrived, ending.subscriber))

    def forget(self, before: float) -> None:
        while self.order and self.order[0][0] < before:
            _, subscriber = self.order.popleft()
            later = tuple(each for each in self.by_subscriber.get(subscriber, ()) if each.arrived >= before)
            if later:
                # In one step: readers never see less than there is.
                self.by_subscriber[subscriber] = later
            else:
                self.by_subscriber.pop(subscriber, None)


class RecentEndings:
    """What ended grants lately, kept fresh by a thread that polls.

    Args:
        source: where it is read.
        clock: the wall clock, for what other nodes recorded before this process began to read.
        poll_interval: seconds.
        stale_after: seconds after which what is in memory cannot be relied on any more.
        capacity: how many are kept. Beyond it all are dropped, and older grants are refused as if memory was stale.
        monotonic: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        source: EndingSource,
        *,
        clock: Clock,
        poll_interval: float,
        stale_after: float,
        capacity: int = CAPACITY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._clock = clock
        self._poll_interval = poll_interval
        self._stale_after = stale_after
        self._capacity = capacity
        self._monotonic = monotonic
        self._memory: _Memory | None = None
        self._fresh_until = float("-inf")
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recent-endings", daemon=True)
        self._failing = False

    def start(self) -> None:
        """Begin to poll. After this, memory is fresh if the database can be read."""
        self._try_to_poll()
        self._thread.start()

    def stop(self) -> None:
        """Poll no more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._poll_interval):
            try:
                self._try_to_poll()
            except Exception as fault:  # noqa: BLE001 - the thread must live on; memory gets stale, which shows
                log.fault("approvals_poll_fault", fault)

    def _try_to_poll(self) -> None:
        try:
            self.poll()
        except StoreUnavailable as fault:
            # Said once: polls are many.
            if not self._failing:
                log.fault("approvals_poll_failed", fault)
            self._failing = True
        else:
            self._failing = False

    def poll(self) -> None:
        """Take in what was recorded since the last time.

        By number and not by time: what is committed late, or recorded by a clock that is slow, is not missed.

        Raises:
            StoreUnavailable: nothing could be read.
        """
        began, wall = self._monotonic(), self._clock()
        change = self._source.change()
        memory = self._memory
        if memory is None:
            memory = self._loaded(change, wall, began)
        elif change < memory.change:
            # The database was set back (a backup, a failover that lost writes). What it lost, nobody knows.
            memory = self._loaded(change, wall, began)
            memory.complete_since = wall + _MARGIN
        elif change > memory.change:
            endings = self._source.endings(memory.change, change, 0, self._capacity + 1)
            if len(endings) + len(memory.order) > self._capacity:
                memory = _Memory(change, wall + _MARGIN)
            else:
                memory.add(endings, began)
                memory.change = change
        memory.forget(began - MEMORY / SECOND)
        self._memory = memory
        self._fresh_until = began + self._stale_after

    def _loaded(self, change: int, wall: Milliseconds, began: float) -> _Memory:
        endings = self._source.endings(0, change, wall - MEMORY - CLOCK_DIFFERENCE, self._capacity + 1)
        if len(endings) > self._capacity:
            return _Memory(change, wall + _MARGIN)
        memory = _Memory(change, 0)
        memory.add(endings, began)
        return memory

    def fresh(self) -> bool:
        """Whether what is in memory can be relied on."""
        return self._memory is not None and self._monotonic() < self._fresh_until

    def objection(
        self,
        subscriber: Callable[[], bytes],
        application: str,
        purpose: str,
        since: Milliseconds,
        *,
        consent_counts: bool,
    ) -> Reason | None:
        """Why a grant is dead; None if nothing ended it.

        Args:
            subscriber: whose it is; asked only where that matters.
            application: whom it was given to.
            purpose: for what; empty for a grant of an external issuer that says nothing of it: any ending counts then.
            since: when it was issued.
            consent_counts: whether it was founded on consent.

        Raises:
            Refusal: UNAVAILABLE, STALE_REGISTRY: that cannot be told.
        """
        memory = self._memory
        if memory is None or self._monotonic() >= self._fresh_until or since <= memory.complete_since:
            raise Refusal(Kind.UNAVAILABLE, Reason.STALE_REGISTRY, retry_after=1)
        if not memory.by_subscriber:
            return None
        found: Reason | None = None
        for ended in memory.by_subscriber.get(subscriber(), ()):
            if since >= ended.dead_before:
                continue
            if ended.opt_out:
                if ended.application in (ALL, application) and (ended.purpose in (ALL, purpose) or not purpose):
                    return Reason.OPTED_OUT
            elif consent_counts and ended.application == application and purpose in ("", ended.purpose):
                found = Reason.CONSENT_WITHDRAWN
        return found
