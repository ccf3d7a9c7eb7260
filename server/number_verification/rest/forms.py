"""Forms of strangers: bodies that have to be read before it is known who sends them.

A read of WSGI's input blocks until the client goes on or hangs up, and cannot be cut short: with Granian 2.8, answering
a request whose body another thread still waits for stops the whole process. Calls of the API read their body after a
good token was seen. The endpoints of the authorization server cannot wait for that, so they read in places of their
own, which are many and bounded: half a form keeps a place, and nobody but others with forms can be kept waiting.
"""

from number_verification.rest.http import HttpRequest
from number_verification.rest.turns import Turns

PLACES = 192
"""Forms that are waited for at the same time. The HTTP server has as many threads more than calls need."""


class NoPlace(Exception):
    """Too many forms are being waited for."""


class FormReader:
    """Reads bodies.

    Args:
        limit: bytes that are read at most; one more shows the handler that there are more.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._places = Turns(PLACES)

    def read(self, request: HttpRequest) -> None:
        """Read a request's body, so that its handler need not wait for it.

        Raises:
            NoPlace: at once.
        """
        if not self._places.take(timeout=0):
            raise NoPlace
        try:
            request.prefetch(self._limit + 1)
        finally:
            self._places.give_back()
