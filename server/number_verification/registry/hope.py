"""Who may try to reach a server that did not answer.

Everybody who tries waits some seconds. If all did, all threads of the service would soon stand in line for a server
that is not there, and those calls with them that need nothing of it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from number_verification.domain.faults import StoreUnavailable


class Hope:
    """After a failure one at a time tries again, and the others are told at once. Safe for threads.

    Nobody tries again before as much time has passed as the failure took: a server that refuses is asked as often as
    anybody likes, and one that hangs takes up half of one thread at most.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failing = False
        self._next = 0.0
        self._trying = threading.Lock()

    @contextmanager
    def of_an_answer(self) -> Iterator[None]:
        """An attempt, which fails if it ends with an exception.

        Raises:
            StoreUnavailable: it is not worth while now.
        """
        alone = self._failing
        if alone and (self._clock() < self._next or not self._trying.acquire(blocking=False)):
            raise StoreUnavailable("registry: PostgreSQL did not answer a moment ago")
        began = self._clock()
        try:
            yield
        except BaseException:
            ended = self._clock()
            self._next = ended + (ended - began)
            self._failing = True
            raise
        else:
            self._failing = False
        finally:
            if alone:
                self._trying.release()
