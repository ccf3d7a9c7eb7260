"""(a) gRPC VerifyPhoneNumber, with every check and a fresh token for each call."""

from collections.abc import Sequence

from bench.bare.grpc_echo import METHOD, SERVICE
from bench.context import Context
from bench.loads import calls
from bench.measure import Sample, busy, in_turn, microseconds, rate, ratio
from bench.processes import LOOPBACK, bare, service
from bench.report import Report, Row, at_most, of, thousands
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb

_CAPTION = (
    "grpcio's own client, 64 calls in flight over 4 connections. The echo is a grpcio server with the service's "
    "threads, options and messages; it gets the same calls, tokens included. "
)


def message(phone_number: str) -> bytes:
    """The request as bytes."""
    return pb.VerifyPhoneNumberRequest(phone_number=phone_number).SerializeToString()


def measure(context: Context) -> list[Report]:
    """The service beside a bare grpcio server."""
    with (
        service(context.directory / "grpc", context.cores, context.sessions[0]) as served,
        bare("grpc_echo", context.cores) as echo,
    ):
        proof = pb.VerifyPhoneNumberResponse(device_phone_number_verified=True).SerializeToString()
        warm_up = context.requests // 10

        def run(port: int, processes: Sequence[int]) -> Sample:
            permits = served.permits(context.requests + warm_up, context.sessions[0])
            each = [(permit.token, message(permit.phone_number)) for permit in permits]
            load = calls.Calls(f"{LOOPBACK}:{port}", f"/{SERVICE}/{METHOD}", each, warm_up, processes, proof)
            return context.generate(calls.run, load)

        samples = in_turn(
            context.rounds,
            {
                "service": lambda: run(served.grpc[1], served.processes),
                "echo": lambda: run(echo.port, echo.processes),
            },
        )
    ours, theirs = samples["service"], samples["echo"]
    compared = ratio(ours, theirs)
    row = Row(
        "VerifyPhoneNumber",
        of(microseconds(ours)),
        thousands(rate(ours).median),
        "bare grpcio echo",
        of(microseconds(theirs)),
        of(compared, 2),
        at_most(compared.median, 1.35, "{} × the echo"),
    )
    return [Report("(a) gRPC", "CPU µs a call", [row], _CAPTION + busy(samples))]
