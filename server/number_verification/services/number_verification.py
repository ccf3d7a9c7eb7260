"""`numberverification.v2.NumberVerificationService`."""

import grpc

from number_verification.domain.access import Authenticated
from number_verification.domain.verification import verify
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb
from number_verification.interceptors.call import current


class NumberVerificationServicer:
    """Answers for the device whose user authorized the call; the token interceptor found out whose it is."""

    def VerifyPhoneNumber(  # noqa: N802 - the contract's name
        self, request: pb.VerifyPhoneNumberRequest, _: grpc.ServicerContext
    ) -> pb.VerifyPhoneNumberResponse:
        """Say whether a number is the device's."""
        verified = verify(
            _authenticated().subscriber,
            phone_number=request.phone_number,
            hashed_phone_number=request.hashed_phone_number,
        )
        return pb.VerifyPhoneNumberResponse(device_phone_number_verified=verified)

    def GetDevicePhoneNumber(  # noqa: N802 - the contract's name
        self, _request: pb.GetDevicePhoneNumberRequest, _: grpc.ServicerContext
    ) -> pb.GetDevicePhoneNumberResponse:
        """Return the device's number."""
        return pb.GetDevicePhoneNumberResponse(device_phone_number=_authenticated().subscriber.phone_number)


def _authenticated() -> Authenticated:
    authenticated = current.get().authenticated
    if authenticated is None:
        raise RuntimeError("a method for API consumers was reached without an access token")
    return authenticated
