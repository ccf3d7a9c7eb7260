"""Who may try to reach a server that did not answer."""

import pytest

from number_verification.domain.faults import StoreUnavailable
from number_verification.registry.hope import Hope

FAILURE_SECONDS = 3.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def fail(hope: Hope, clock: Clock, seconds: float = FAILURE_SECONDS) -> None:
    def attempt() -> None:
        with hope.of_an_answer():
            clock.now += seconds
            raise ConnectionError

    with pytest.raises(ConnectionError):
        attempt()


def assert_refused(hope: Hope) -> None:
    with pytest.raises(StoreUnavailable, match="a moment ago"), hope.of_an_answer():
        raise AssertionError("it was tried")


def test_as_long_as_there_is_an_answer_all_may_ask() -> None:
    hope = Hope()
    with hope.of_an_answer(), hope.of_an_answer():
        pass
    with hope.of_an_answer():
        pass


def test_after_a_failure_nobody_may_for_as_long_as_it_took() -> None:
    clock = Clock()
    hope = Hope(clock)
    fail(hope, clock)
    assert_refused(hope)
    clock.now += FAILURE_SECONDS - 0.1
    assert_refused(hope)
    clock.now += 0.1
    with hope.of_an_answer():
        pass
    with hope.of_an_answer(), hope.of_an_answer():
        pass


def test_who_is_refused_at_once_may_ask_again_at_once() -> None:
    clock = Clock()
    hope = Hope(clock)
    for _ in range(3):
        fail(hope, clock, 0)
    with hope.of_an_answer():
        pass


def test_one_at_a_time() -> None:
    clock = Clock()
    hope = Hope(clock)
    fail(hope, clock)
    clock.now += FAILURE_SECONDS
    with hope.of_an_answer():
        assert_refused(hope)
        # However long it takes.
        clock.now += 100 * FAILURE_SECONDS
        assert_refused(hope)
    with hope.of_an_answer(), hope.of_an_answer():
        pass


def test_who_fails_again_lets_the_next_one_try() -> None:
    clock = Clock()
    hope = Hope(clock)
    for _ in range(3):
        fail(hope, clock)
        assert_refused(hope)
        clock.now += FAILURE_SECONDS
    with hope.of_an_answer():
        pass


def test_an_attempt_from_before_that_comes_through_is_an_answer() -> None:
    clock = Clock()
    hope = Hope(clock)
    with hope.of_an_answer():
        fail(hope, clock)
    with hope.of_an_answer(), hope.of_an_answer():
        pass
