"""(d) RADIUS accounting by real UDP into stores of different sizes."""

from collections.abc import Sequence
from functools import partial
from itertools import count, islice

from bench.context import Context
from bench.loads import loop
from bench.loads.radius import Gateway
from bench.measure import Sample, busy, in_turn, microseconds, rate, ratio
from bench.population import accounting
from bench.processes import LOOPBACK, STRIDE, Service, bare, service
from bench.report import Report, Row, at_least, of, thousands
from number_verification.domain.session import EventKind

_SOURCES, _IN_FLIGHT = 16, 64

_CAPTION = (
    f"{_SOURCES} source ports with {_IN_FLIGHT} packets in flight each; whatever is not answered within a second is "
    "sent again. Acknowledged means recorded and synced to disk. Starts are of new sessions, interim updates of "
    "sessions in no order. The echo signs an answer and does nothing else. "
)


def measure(context: Context) -> list[Report]:
    """Starts and interim updates at both sizes, beside a bare answer."""
    few, many = context.sessions
    secret = "a secret that nobody keeps"
    with (
        service(context.directory / "small", context.cores, few) as at_small,
        service(context.directory / "great", context.cores, many) as at_great,
        bare("radius_echo", context.cores, secret, answers_tcp=False) as echo,
    ):

        def run(address: tuple[str, int], key: str, packets: Sequence[bytes], processes: Sequence[int]) -> Sample:
            connect = [partial(Gateway, address, key.encode())] * _SOURCES
            load = loop.Load(connect, _IN_FLIGHT, packets, context.requests // 2, processes)
            return context.generate(loop.run, load).sample

        def feed(served: Service, kind: EventKind, serials: Sequence[int]) -> Sample:
            key = served.description["radius"]["secret"]
            return run(served.radius, key, accounting(kind, serials), served.processes)

        packets = context.requests * 2 + context.requests // 2
        new = {id(served): count(size) for served, size in ((at_small, few), (at_great, many))}

        def starts(served: Service) -> Sample:
            return feed(served, EventKind.START, list(islice(new[id(served)], packets)))

        def updates(served: Service, size: int) -> Sample:
            return feed(served, EventKind.UPDATE, [index * STRIDE % size for index in range(packets)])

        samples = in_turn(
            context.rounds,
            {
                "starts, great": lambda: starts(at_great),
                "starts, small": lambda: starts(at_small),
                "updates, great": lambda: updates(at_great, many),
                "updates, small": lambda: updates(at_small, few),
                "echo": lambda: run(
                    (LOOPBACK, echo.port), secret, accounting(EventKind.START, range(packets)), echo.processes
                ),
            },
        )
    rows = []
    for name, what, size in (
        ("starts, small", "Start", few),
        ("starts, great", "Start", many),
        ("updates, small", "Interim-Update", few),
        ("updates, great", "Interim-Update", many),
    ):
        reached = rate(samples[name])
        rows.append(
            Row(
                f"{what}, {thousands(size)}",
                of(microseconds(samples[name])),
                thousands(reached.median),
                "bare UDP answer",
                of(microseconds(samples["echo"]), 1),
                of(ratio(samples[name], samples["echo"]), 1),
                at_least(reached.median, 15_000, "{} a second"),
            )
        )
    return [
        Report("(d) RADIUS accounting, by sessions in the store", "CPU µs an event", rows, _CAPTION + busy(samples))
    ]
