"""A bare gRPC server: the contract's messages, the service's threads and options, and nothing in between.

Run as `python -m bench.bare.grpc_echo PORT`.
"""

from __future__ import annotations  # the stubs' classes are generic, grpc's own are not

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb
from number_verification.grpc_server import _OPTIONS
from number_verification.listener_settings import GrpcSettings

SERVICE = "numberverification.v2.NumberVerificationService"
METHOD = "VerifyPhoneNumber"


def _verified(_request: pb.VerifyPhoneNumberRequest, _context: grpc.ServicerContext) -> pb.VerifyPhoneNumberResponse:
    return pb.VerifyPhoneNumberResponse(device_phone_number_verified=True)


def main() -> None:
    settings = GrpcSettings()
    server = grpc.server(
        ThreadPoolExecutor(settings.threads),
        options=_OPTIONS,
        maximum_concurrent_rpcs=settings.threads + settings.max_waiting,
    )
    handlers = {
        METHOD: grpc.unary_unary_rpc_method_handler(
            _verified,
            request_deserializer=pb.VerifyPhoneNumberRequest.FromString,
            response_serializer=pb.VerifyPhoneNumberResponse.SerializeToString,
        )
    }
    # As the code does that grpcio-tools generates.
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)  # type: ignore[attr-defined]  # stubs of 1.53
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
