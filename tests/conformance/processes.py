"""Work that several processes do at the same moment."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from typing import Any, TypeVar

_WAIT_SECONDS = 60.0

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def together(work: Callable[[Argument, Barrier], Result], arguments: Sequence[Argument]) -> list[Result]:
    """What came of some work, done in a process for each argument. The barrier is for all of them."""
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(len(arguments))
    started = [start(_report, work, argument, barrier) for argument in arguments]
    try:
        return [answer(pipe) for _, pipe in started]
    finally:
        for process, _ in started:
            process.kill()
            process.join()


def start(work: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    """Start a process that is given arguments and our pipe's other end."""
    spawn = multiprocessing.get_context("spawn")
    receive, send = spawn.Pipe(duplex=False)
    process = spawn.Process(target=work, args=(*arguments, send), daemon=True)
    process.start()
    # With our end closed, one that dies is noticed at once.
    send.close()
    return process, receive


def answer(pipe: Connection) -> Any:
    """What a process sends; an EOFError if it died."""
    assert pipe.poll(_WAIT_SECONDS), "a process does not answer"
    return pipe.recv()


@contextmanager
def started(work: Callable[..., None], *arguments: Any) -> Iterator[tuple[BaseProcess, Connection]]:
    """A process that is killed in the end."""
    process, pipe = start(work, *arguments)
    try:
        yield process, pipe
    finally:
        process.kill()
        process.join()


def _report(work: Callable[[Any, Barrier], Any], argument: Any, barrier: Barrier, results: Connection) -> None:
    barrier.wait(_WAIT_SECONDS)
    results.send(work(argument, barrier))
