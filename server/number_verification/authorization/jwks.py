"""Sets of public keys (RFC 7517 §5): given ones, and those that an issuer publishes."""

import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from number_verification import log
from number_verification.authorization.http_fetch import Fetch, FetchFailed, check_uri, fetch_document
from number_verification.authorization.jose import (
    KeysUnavailable,
    UnusableKey,
    VerificationKey,
    parse_object,
    verification_key,
)
from number_verification.domain.clock import HOUR, MINUTE, SECOND, Clock, Milliseconds


class StaticKeySet:
    """The usable keys of a JWK set. Those that are private, symmetric, weak or not known to us are left out.

    Args:
        jwks: a JWK set.

    Raises:
        ValueError: it is not a JWK set.
    """

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        keys = jwks.get("keys")
        if not isinstance(keys, list):
            raise ValueError("not a JWK set")  # noqa: TRY004 - like any other content that is wrong
        self._keys: dict[tuple[str | None, str], list[VerificationKey]] = {}
        for jwk in keys:
            self._add(jwk)

    def _add(self, jwk: object) -> None:
        if not isinstance(jwk, Mapping):
            return
        try:
            key = verification_key(jwk)
        except UnusableKey:
            return
        for algorithm in key.algorithms:
            for kid in {key.kid, None}:
                self._keys.setdefault((kid, algorithm), []).append(key)

    def __len__(self) -> int:
        """How many keys and uses there are: 0 means that nothing can be verified."""
        return len(self._keys)

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The one key with this identifier that fits the algorithm; without an identifier, the only key that fits."""
        fitting = self._keys.get((kid, algorithm), ())
        return fitting[0] if len(fitting) == 1 else None


def is_usable(jwks: Mapping[str, Any]) -> bool:
    """Whether something is a JWK set with at least one key that signatures can be checked with."""
    try:
        return bool(StaticKeySet(jwks))
    except ValueError:
        return False


def _monotonic() -> Milliseconds:
    return time.monotonic_ns() // 1_000_000


class RemoteKeySet:
    """The keys that an issuer publishes. They are fetched in a thread of their own, one fetch at a time.

    A call waits for a fetch only if it started it for an identifier that is not known, or if there are no keys at all;
    never for longer than `timeout`, and, as the interval between fetches has a floor, not again and again.

    Args:
        uri: of the JWK set: HTTPS, or plain HTTP to a loopback address.
        fetch: how the document is fetched.
        clock: that never goes back.
        refresh_after: the age after which the keys are fetched again, while the old ones still serve.
        min_interval: the least time from the start of one fetch to that of the next, whatever is asked for.
        stale_for: how long the keys serve when they cannot be fetched again, from the last time they were.
        max_bytes: the greatest size of the document.
        timeout: seconds for one fetch from its beginning to its end.
        waiting: places for calls that wait for a fetch, where more key sets share them; a call that finds none free
            does not wait.

    Raises:
        ValueError: the address is not allowed.
    """

    def __init__(
        self,
        uri: str,
        *,
        fetch: Fetch = fetch_document,
        clock: Clock = _monotonic,
        refresh_after: Milliseconds = 10 * MINUTE,
        min_interval: Milliseconds = 10 * SECOND,
        stale_for: Milliseconds = 24 * HOUR,
        max_bytes: int = 65_536,
        timeout: float = 3.0,
        waiting: threading.BoundedSemaphore | None = None,
    ) -> None:
        check_uri(uri)
        self._uri = uri
        self._fetch = fetch
        self._clock = clock
        self._refresh_after = refresh_after
        self._min_interval = min_interval
        self._stale_for = stale_for
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._waiting = waiting
        self._guard = threading.Lock()
        self._fetched: tuple[StaticKeySet, Milliseconds] | None = None
        self._attempted: Milliseconds | None = None
        self._running: threading.Event | None = None

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The one key with this identifier that fits the algorithm; without an identifier, the only key that fits.

        Raises:
            KeysUnavailable: no keys could be fetched, or those that were are too old.
        """
        fetched = self._usable()
        if fetched is None:
            self._refresh(wait_for_others=True)
            fetched = self._usable()
            if fetched is None:
                raise KeysUnavailable(self._retry_after())
            return fetched[0].find(kid, algorithm)
        key = fetched[0].find(kid, algorithm)
        if key is None:
            self._refresh()
            key = (self._usable() or fetched)[0].find(kid, algorithm)
        elif self._clock() - fetched[1] > self._refresh_after:
            self._start()
        return key

    def warm_up(self) -> None:
        """Begin to fetch the keys, so that the first call finds them."""
        self._start()

    def _usable(self) -> tuple[StaticKeySet, Milliseconds] | None:
        fetched = self._fetched
        return fetched if fetched and self._clock() - fetched[1] <= self._stale_for else None

    def _retry_after(self) -> int:
        """Seconds until the next fetch may begin, at least 1."""
        with self._guard:
            waiting = (self._attempted or 0) + self._min_interval - self._clock()
        return max(1, -(-waiting // SECOND))

    def _refresh(self, *, wait_for_others: bool = False) -> None:
        fetch = self._start()
        if fetch is None and wait_for_others:
            fetch = self._running
        if fetch is None:
            return
        if self._waiting is None:
            fetch.wait(self._timeout)
        elif self._waiting.acquire(blocking=False):
            try:
                fetch.wait(self._timeout)
            finally:
                self._waiting.release()

    def _start(self) -> threading.Event | None:
        """Begin a fetch unless one runs or the last one began too recently. The event is set when it ends."""
        with self._guard:
            now = self._clock()
            recently = self._attempted is not None and now - self._attempted < self._min_interval
            if self._running is not None or recently:
                return None
            self._attempted = now
            ended = threading.Event()
            threading.Thread(target=self._run, args=(now, ended), name="jwks", daemon=True).start()
            self._running = ended
        return ended

    def _run(self, began: Milliseconds, ended: threading.Event) -> None:
        try:
            keys = StaticKeySet(parse_object(self._fetch(self._uri, self._max_bytes, self._timeout)))
            if not keys:
                raise FetchFailed("no usable key")  # noqa: TRY301 - one place that logs
            self._fetched = keys, began
        except (FetchFailed, ValueError) as failure:
            # Only our own messages are free of content.
            why = str(failure) if isinstance(failure, FetchFailed) else "not a JWK set"
            log.event("jwks_unavailable", level="warning", host=urlsplit(self._uri).netloc, why=why)
        except Exception as fault:  # noqa: BLE001 - a thread of its own has nobody to raise to
            log.fault("jwks_fault", fault)
        finally:
            with self._guard:
                self._running = None
            ended.set()
