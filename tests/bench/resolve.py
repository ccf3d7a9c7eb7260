"""(d) Resolving a device's address to its one live session, in a small store and in a great one."""

import time
from pathlib import Path

import lmdb

from bench.context import Context
from bench.measure import Sample, in_turn, microseconds, rate, ratio, running_on
from bench.population import address, fill
from bench.processes import SESSION_BYTES, STRIDE
from bench.report import Report, Row, at_most, of, thousands
from number_verification.domain import clock
from number_verification.domain.attribution import AttributionPolicy
from number_verification.domain.location import still_there
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Ipv4Address
from number_verification.sandbox.devices import APN
from number_verification.sessions.lmdb import LmdbSessionStore

_CAPTION = (
    "In process: the sightings of an address, and the rule that makes one live session of them. Every look-up is of "
    "another address, in no order."
)
_CAPTION_ON_DISK = (
    "The size of the store's file, free pages included. Sessions have number, IMSI, APN, RAT type, serving network, an "
    "id of 16 characters that rises at each of 16 gateways, and addresses in no order."
)


def measure(context: Context) -> list[Report]:
    """Look-ups at both sizes, and what the stores take on disk."""
    few, many = context.sessions
    paths = {size: context.directory / f"resolve-{size}" for size in (few, many)}
    dual_stack = context.directory / "resolve-dual-stack"
    for size, path in paths.items():
        fill(path, SESSION_BYTES, size)
    some = many // 10
    fill(dual_stack, SESSION_BYTES, some, dual_stack=True)
    small, great = (LmdbSessionStore(paths[size], SESSION_BYTES) for size in (few, many))
    try:
        with running_on(context.cores.server):
            samples = in_turn(
                context.rounds,
                {
                    "great": lambda: _resolve(great, many, context.requests * 4),
                    "small": lambda: _resolve(small, few, context.requests * 4),
                },
            )
    finally:
        small.close()
        great.close()
    compared = ratio(samples["great"], samples["small"])
    resolving = Row(
        f"among {thousands(many)}",
        of(microseconds(samples["great"]), 1),
        thousands(rate(samples["great"]).median),
        f"among {thousands(few)}",
        of(microseconds(samples["small"]), 1),
        of(compared, 2),
        at_most(compared.median, 1.3, "{} × the smaller"),
    )
    on_disk = [
        _on_disk(paths[many], many, "IPv4"),
        _on_disk(paths[few], few, "IPv4"),
        _on_disk(dual_stack, some, "IPv4 and IPv6 prefix"),
    ]
    return [
        Report("(d) From an address to its live session, by sessions in the store", "CPU µs", [resolving], _CAPTION),
        Report("(d) On disk", "bytes a session", on_disk, _CAPTION_ON_DISK),
    ]


def _on_disk(path: Path, sessions: int, what: str) -> Row:
    each = (path / "data.mdb").stat().st_size / sessions
    return Row(
        f"{thousands(sessions)} sessions, {what}",
        f"{each:.0f}",
        baseline="pages in use",
        baseline_value=f"{_in_use(path) / sessions:.0f}",
        reach=at_most(each, 400, "{} bytes"),
    )


def _in_use(path: Path) -> int:
    """Bytes of the pages that hold something."""
    with lmdb.open(str(path), max_dbs=16, readonly=True) as environment, environment.begin() as txn:
        names = [bytes(name) for name in txn.cursor().iternext(values=False)]
        each = [txn.stat(environment.open_db(name, txn, create=False)) for name in names]
        return sum((s["branch_pages"] + s["leaf_pages"] + s["overflow_pages"]) * s["psize"] for s in each)


def _resolve(store: LmdbSessionStore, sessions: int, times: int) -> Sample:
    policy, now = AttributionPolicy(apns=frozenset({APN})), clock.now()
    wanted = [Ipv4Address("", address(index * STRIDE % sessions)) for index in range(times)]
    started, cpu = time.perf_counter(), time.process_time()
    refused = sum(isinstance(still_there(each, store, policy, now), Reason) for each in wanted)
    sample = Sample(times, time.perf_counter() - started, time.process_time() - cpu)
    if refused:
        raise RuntimeError(f"{refused} sessions were not found")
    return sample
