"""(e) Writing audit records, beside a bare write of as many bytes."""

import os
import time
from pathlib import Path

from bench.context import Context
from bench.measure import Sample, in_turn, microseconds, rate, ratio, running_on
from bench.report import Report, Row, at_least, of, thousands
from number_verification.domain import clock
from number_verification.domain.audit import AuditKind, AuditRecord
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.sealer import Sealer
from number_verification.registry.audit.seals import SealKey
from number_verification.registry.audit.trail import AuditTrail
from number_verification.registry.audit.verify import verify

_NUMBER = "+990555000001"
_RECORDS = 5
"""Records for each request of the other benchmarks: one is quickly written."""
_CAPTION = (
    "In process, one thread. A record is a served call with all its names: marked, made into a line, chained, written. "
    "Sealing, which another process does, reads and checks each line and brings it to disk; verifying does so again."
)


def measure(context: Context) -> list[Report]:
    """Records written, sealed and verified."""
    directory, keys = context.directory / "audit", context.directory / "keys"
    trail = AuditTrail(directory, NumberKeys(keys, 30))
    trail.record(_record(), _NUMBER)
    line = _last_line(next(directory.rglob("*.jsonl")))
    times = context.requests * _RECORDS
    try:
        with running_on(context.cores.server):
            samples = in_turn(
                context.rounds,
                {
                    "ours": lambda: _written(trail, times),
                    "bare": lambda: _bare(context.directory / "bare", line, times),
                },
            )
            sealed, verified = _sealed_and_verified(directory, keys, 1 + context.rounds * times)
    finally:
        trail.close()
    written = samples["ours"]
    rows = [
        Row(
            f"record, a line of {len(line)} bytes",
            of(microseconds(written), 1),
            thousands(rate(written).median),
            "os.write of such a line",
            of(microseconds(samples["bare"]), 1),
            of(ratio(written, samples["bare"]), 1),
            at_least(rate(written).least, 20_000, "{} a second"),
        ),
        Row("seal, for each record", f"{sealed.microseconds:.1f}", thousands(sealed.rate)),
        Row("verify, for each record", f"{verified.microseconds:.1f}", thousands(verified.rate)),
    ]
    return [Report("(e) The audit trail", "CPU µs", rows, _CAPTION)]


def _record() -> AuditRecord:
    return AuditRecord(
        clock.now(),
        AuditKind.CALL,
        "b4333c46-49c0-4f62-80d7-f0ef930f1c46",
        "/numberverification.v2.NumberVerificationService/VerifyPhoneNumber",
        "grpc",
        "OK",
        "",
        "0f6e1f6a-6f9d-4f4e-9c7f-3f7f5f1d2a3b",
        "organizations/first-bank/applications/banking-app",
        "organizations/first-bank",
        "organizations/the-hub",
        "",
        "nba",
        "dpv:FraudPreventionAndDetection",
    )


def _written(trail: AuditTrail, times: int) -> Sample:
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        trail.record(_record(), _NUMBER)
    return Sample(times, time.perf_counter() - started, time.process_time() - cpu)


def _bare(path: Path, line: bytes, times: int) -> Sample:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        started, cpu = time.perf_counter(), time.process_time()
        for _ in range(times):
            os.write(descriptor, line)
        return Sample(times, time.perf_counter() - started, time.process_time() - cpu)
    finally:
        os.close(descriptor)


def _sealed_and_verified(directory: Path, keys: Path, records: int) -> tuple[Sample, Sample]:
    sealer = Sealer(directory, SealKey(keys), clock.now)
    started, cpu = time.perf_counter(), time.process_time()
    sealer.seal()
    sealed = Sample(records, time.perf_counter() - started, time.process_time() - cpu)
    sealer.close()
    started, cpu = time.perf_counter(), time.process_time()
    found = verify(directory, SealKey(keys))
    verified = Sample(records, time.perf_counter() - started, time.process_time() - cpu)
    if found.findings or found.sealed_records != records:
        raise RuntimeError(f"{found.sealed_records} of {records} records were sealed, {len(found.findings)} findings")
    return sealed, verified


def _last_line(path: Path) -> bytes:
    return path.read_bytes().splitlines(keepends=True)[-1]
