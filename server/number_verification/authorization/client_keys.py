"""The keys that clients sign with: registered ones, imported once, and those that clients publish themselves."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from number_verification.authorization.http_fetch import Fetch, FetchFailed
from number_verification.authorization.jose import KeySource
from number_verification.authorization.jwks import RemoteKeySet, StaticKeySet
from number_verification.domain.refusal import Reason

WAITING = 2
"""Requests that may wait for clients' keys to be fetched at the same time. A client's server may be slow on purpose: it
must not keep the threads of everybody else."""

FETCHING = 64
"""Fetches that may run at the same time. Each is a thread, and whoever registers applications decides how many servers
there are; a slow name server keeps one for longer than a fetch may take."""


class Client(Protocol):
    """Whoever authenticates by `private_key_jwt`: an application, or a principal."""

    @property
    def client_id(self) -> str:
        """What it is known by."""
        ...

    @property
    def jwks(self) -> Mapping[str, Any]:
        """Its public keys as a JWK set; empty where `jwks_uri` is set, or where it has none."""
        ...

    @property
    def jwks_uri(self) -> str:
        """Where it publishes its keys; empty where it does not."""
        ...

    @property
    def objection(self) -> Reason | None:
        """Why it may not be served now; None if it may."""
        ...


class ClientKeys:
    """Finds the keys of clients. Safe for threads.

    Importing a key takes about as long as checking a signature with it, and fetching one far longer; so both are kept,
    for as long as the client's registration names the same keys or the same address, whatever else changes in it.

    Args:
        fetch: how keys are fetched from a `jwks_uri`, which a stranger has written.
        limit: the greatest number of key sets kept of either kind; the one not asked for for longest goes first.
    """

    def __init__(self, fetch: Fetch, limit: int = 4096) -> None:
        self._fetch_unbounded = fetch
        self._fetching = threading.BoundedSemaphore(FETCHING)
        self._limit = limit
        self._waiting = threading.BoundedSemaphore(WAITING)
        self._registered: OrderedDict[str, tuple[object, KeySource]] = OrderedDict()
        """By client id, each with the registration that it was made of."""
        self._published: OrderedDict[str, KeySource] = OrderedDict()
        """By address."""
        self._guard = threading.Lock()

    def of(self, client: Client) -> KeySource:
        """The client's keys as they are now. None is fetched before one is looked for."""
        if client.jwks_uri:
            return self._published_at(client.jwks_uri)
        with self._guard:
            entry = self._registered.get(client.client_id)
            if entry is not None and entry[0] == client.jwks:
                self._registered.move_to_end(client.client_id)
                return entry[1]
        keys = StaticKeySet(client.jwks or {"keys": []})
        with self._guard:
            self._registered[client.client_id] = client.jwks, keys
            self._registered.move_to_end(client.client_id)
            if len(self._registered) > self._limit:
                self._registered.popitem(last=False)
        return keys

    def _published_at(self, uri: str) -> KeySource:
        with self._guard:
            keys = self._published.get(uri)
            if keys is None:
                keys = self._published[uri] = self._remote(uri)
                if len(self._published) > self._limit:
                    self._published.popitem(last=False)
            self._published.move_to_end(uri)
            return keys

    def _fetch(self, uri: str, max_bytes: int, timeout: float, /) -> bytes:
        if not self._fetching.acquire(blocking=False):
            raise FetchFailed("too many at once")
        try:
            return self._fetch_unbounded(uri, max_bytes, timeout)
        finally:
            self._fetching.release()

    def _remote(self, uri: str) -> KeySource:
        try:
            return RemoteKeySet(uri, fetch=self._fetch, waiting=self._waiting)
        except ValueError:
            return StaticKeySet({"keys": []})  # nothing is ever fetched from there
