"""Two processes that call with the same tokens at the same moments."""

import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from functional.service import Service
from functional.transports import Grpc, Rest

WAIT_SECONDS = 30.0


def race(contenders: Sequence[str], description: dict[str, Any], tokens: Sequence[str]) -> list[tuple[str, ...]]:
    """What each contender got for each token.

    Args:
        contenders: `grpc` or `rest` for each process.
        description: of the service, as in `sandbox.json`.
        tokens: each is presented once by every contender.
    """
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(len(contenders))
    processes, pipes = [], []
    for transport in contenders:
        receive, send = spawn.Pipe(duplex=False)
        process = spawn.Process(target=_contend, args=(transport, description, tokens, start, send), daemon=True)
        process.start()
        # With our end closed, a contender that dies is noticed at once.
        send.close()
        processes.append(process)
        pipes.append(receive)
    try:
        results = []
        for pipe in pipes:
            assert pipe.poll(WAIT_SECONDS), "a contender gave no result"
            results.append(pipe.recv())
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return list(zip(*results, strict=True))


def _contend(
    transport: str, description: dict[str, Any], tokens: Sequence[str], start: Barrier, results: Connection
) -> None:
    service = Service(None, None, None, description)  # type: ignore[arg-type]  # only where it is counts here
    codes = []
    with Grpc(service) if transport == "grpc" else Rest(service) as api:
        for token in tokens:
            start.wait(WAIT_SECONDS)
            codes.append(api.share(token).code)
    results.send(codes)
