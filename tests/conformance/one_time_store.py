"""What every one-time store must do. A test module of each engine subclasses the suite and gives an opener."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import pytest

from number_verification.domain.clock import Milliseconds
from number_verification.onetime.store import OneTimeStore

Opener: TypeAlias = Callable[[], OneTimeStore]
"""Opens the same store each time it is called, in whichever process. It can be pickled."""

FOREVER: Milliseconds = 4_000_000_000_000
LONG_AGO: Milliseconds = 1_000_000_000_000
"""Instants that the real clock is far from. The store goes by the real clock."""


def take_all(store: OneTimeStore, keys: Sequence[bytes]) -> set[bytes]:
    return {key for key in keys if store.take(key) is not None}


def add_all(store: OneTimeStore, keys: Sequence[bytes]) -> set[bytes]:
    return {key for key in keys if store.add(key, FOREVER)}


Race: TypeAlias = Callable[[OneTimeStore, Sequence[bytes]], set[bytes]]


def numbered(count: int) -> list[bytes]:
    return [b"%032d" % number for number in range(count)]


def race_of_threads(store: OneTimeStore, race: Race, keys: Sequence[bytes], threads: int = 4) -> list[set[bytes]]:
    """What each of several threads won."""
    line = threading.Barrier(threads)

    def run() -> set[bytes]:
        line.wait()
        return race(store, keys)

    with ThreadPoolExecutor(threads) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(threads)]]


def race_of_processes(opener: Opener, race: Race, keys: Sequence[bytes], processes: int = 2) -> list[set[bytes]]:
    """What each of several processes won."""
    spawn = multiprocessing.get_context("spawn")
    line = spawn.Barrier(processes)
    pipes = [spawn.Pipe(duplex=False) for _ in range(processes)]
    children = [spawn.Process(target=_racer, args=(opener, race, keys, line, sender)) for _, sender in pipes]
    for child in children:
        child.start()
    try:
        won: list[set[bytes]] = []
        for receiver, sender in pipes:
            sender.close()
            won.append(receiver.recv())
        return won
    finally:
        for child in children:
            child.join()


def _racer(opener, race, keys, line, sender) -> None:  # type: ignore[no-untyped-def]
    store = opener()
    line.wait()
    sender.send(race(store, keys))
    store.close()


def won_twice(won: Sequence[set[bytes]]) -> int:
    """How many keys had more than one winner."""
    return sum(map(len, won)) - len(set[bytes]().union(*won))


class OneTimeStoreSuite:
    """Subclasses define the fixture `opener`: a new, empty store for each test."""

    @pytest.fixture
    def store(self, opener: Opener) -> Iterator[OneTimeStore]:
        store = opener()
        yield store
        store.close()

    def test_a_value_is_taken_once(self, store: OneTimeStore) -> None:
        store.put(b"code", b"value", FOREVER)
        assert store.take(b"code") == b"value"
        assert store.take(b"code") is None

    def test_what_was_never_put_cannot_be_taken(self, store: OneTimeStore) -> None:
        assert store.take(b"code") is None

    def test_a_value_is_replaced(self, store: OneTimeStore) -> None:
        store.put(b"code", b"one", FOREVER)
        store.put(b"code", b"other", FOREVER)
        assert store.take(b"code") == b"other"
        assert store.take(b"code") is None

    def test_an_expired_value_cannot_be_taken(self, store: OneTimeStore) -> None:
        store.put(b"code", b"value", LONG_AGO)
        assert store.take(b"code") is None

    def test_a_key_is_marked_once(self, store: OneTimeStore) -> None:
        assert store.add(b"jti", FOREVER)
        assert not store.add(b"jti", FOREVER)
        assert not store.add(b"jti", FOREVER + 1)

    def test_keys_are_apart(self, store: OneTimeStore) -> None:
        assert store.add(b"a", FOREVER)
        assert store.add(b"a\0", FOREVER)
        assert store.add(b"", FOREVER)
        assert not store.add(b"", FOREVER)

    def test_marks_and_values_are_apart(self, store: OneTimeStore) -> None:
        assert store.add(b"key", FOREVER)
        assert store.take(b"key") is None
        store.put(b"key", b"value", FOREVER)
        assert not store.add(b"key", FOREVER)
        assert store.take(b"key") == b"value"
        assert not store.add(b"key", FOREVER)

    @pytest.mark.parametrize("value", [b"", b"\0", bytes(65_536)], ids=["empty", "zero", "64 KiB"])
    def test_values_and_keys_of_all_sizes(self, store: OneTimeStore, value: bytes) -> None:
        key = b"\xff" * 255
        store.put(key, value, FOREVER)
        assert store.take(key) == value

    def test_purging_forgets_nothing_that_counts(self, store: OneTimeStore) -> None:
        store.put(b"code", b"value", FOREVER)
        assert store.add(b"jti", FOREVER)
        store.purge(10)
        assert store.take(b"code") == b"value"
        assert not store.add(b"jti", FOREVER)

    def test_what_was_purged_is_not_marked_again(self, store: OneTimeStore) -> None:
        store.add(b"jti", LONG_AGO)
        store.purge(10)
        assert not store.add(b"jti", LONG_AGO)

    def test_a_store_that_never_lost_anything_says_so(self, store: OneTimeStore) -> None:
        assert store.remembers_since == 0

    def test_a_usable_store_passes_the_probe(self, store: OneTimeStore) -> None:
        store.probe()
        store.probe()

    # Invariant 5.

    def test_threads_that_take_never_both_win(self, store: OneTimeStore) -> None:
        keys = numbered(1_000)
        for key in keys:
            store.put(key, b"value", FOREVER)
        won = race_of_threads(store, take_all, keys)
        assert won_twice(won) == 0
        assert set[bytes]().union(*won) == set(keys)

    def test_threads_that_mark_never_both_win(self, store: OneTimeStore) -> None:
        keys = numbered(1_000)
        won = race_of_threads(store, add_all, keys)
        assert won_twice(won) == 0
        assert set[bytes]().union(*won) == set(keys)

    @pytest.mark.parametrize("race", [take_all, add_all])
    def test_processes_never_both_win(self, opener: Opener, race: Race) -> None:
        keys = numbered(5_000)
        store = opener()
        for key in keys:
            store.put(key, b"value", FOREVER)
        store.close()
        won = race_of_processes(opener, race, keys)
        assert won_twice(won) == 0
        assert set[bytes]().union(*won) == set(keys)
