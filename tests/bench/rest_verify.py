"""(b) REST POST /verify, with every check and a fresh token for each request."""

import json
from collections.abc import Sequence
from functools import partial

from bench.context import Context
from bench.loads import loop
from bench.loads.http1 import Http1, request
from bench.measure import Sample, busy, in_turn, microseconds, rate, ratio
from bench.processes import LOOPBACK, bare, service, transcoder
from bench.report import Report, Row, at_most, of, thousands

CONNECTIONS = 64
TARGET = "/number-verification/v2/verify"
PROOF = b'"devicePhoneNumberVerified":true'

_CAPTION = (
    f"{CONNECTIONS} kept connections, one request at a time on each. The echo is a WSGI application on Granian with "
    "the service's settings; Envoy has one worker thread and stands in front of the service's own gRPC listener, so "
    "that every check is made and every token used up there too: its figure is the CPU of Envoy and the service "
    "together. "
)


def measure(context: Context) -> list[Report]:
    """The service beside a bare WSGI application, and beside a transcoding proxy in front of its gRPC."""
    with (
        service(context.directory / "rest", context.cores, context.sessions[0]) as served,
        bare("wsgi_echo", context.cores) as echo,
        transcoder(context.directory, context.cores, served.grpc[1]) as envoy,
    ):
        warm_up = context.requests // 10

        def run(port: int, processes: Sequence[int]) -> Sample:
            permits = served.permits(context.requests + warm_up, context.sessions[0])
            connect = [partial(Http1, (LOOPBACK, port))] * CONNECTIONS
            requests = [verification(permit.token, permit.phone_number) for permit in permits]
            load = loop.Load(connect, 1, requests, warm_up, processes, PROOF)
            return context.generate(loop.run, load).sample

        samples = in_turn(
            context.rounds,
            {
                "service": lambda: run(served.http[1], served.processes),
                "echo": lambda: run(echo.port, echo.processes),
                "envoy": lambda: run(envoy.port, [*envoy.processes, *served.processes]),
            },
        )
    ours, echoed, transcoded = samples["service"], samples["echo"], samples["envoy"]
    cost, against_envoy = microseconds(ours), ratio(ours, transcoded)
    rows = [
        Row(
            "POST /verify",
            of(cost),
            thousands(rate(ours).median),
            "Envoy + the service's gRPC",
            of(microseconds(transcoded)),
            of(against_envoy, 2),
            at_most(against_envoy.median, 0.25, "{} × Envoy + gRPC"),
        ),
        Row(
            "",
            "",
            "",
            "bare WSGI echo",
            of(microseconds(echoed)),
            of(ratio(ours, echoed), 2),
            at_most(cost.median, 120, "{} µs"),
        ),
    ]
    return [Report("(b) REST", "CPU µs a request", rows, _CAPTION + busy(samples))]


def verification(token: str, phone_number: str) -> bytes:
    """The request as bytes."""
    body = json.dumps({"phoneNumber": phone_number}).encode()
    return request("POST", TARGET, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, body)
