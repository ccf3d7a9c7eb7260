"""Client of a Number Verification service: the calls over gRPC, and the OAuth steps a backend needs before them."""

from number_verification_client.assertion import client_assertion
from number_verification_client.client import AsyncNumberVerificationClient, NumberVerificationClient
from number_verification_client.errors import (
    FieldViolation,
    InvalidArgument,
    NumberVerificationError,
    OAuthError,
    PermissionDenied,
    ResourceExhausted,
    ResponseRejected,
    Timeout,
    Unauthenticated,
    Unavailable,
    UserNotAuthenticatedByMobileNetwork,
)
from number_verification_client.oauth import (
    SCOPE_DEVICE_PHONE_NUMBER,
    SCOPE_VERIFY,
    AuthorizationRequest,
    Provider,
    TokenResponse,
    parse_callback,
)
from number_verification_client.phone_number import hash_phone_number
from number_verification_client.results import DevicePhoneNumber, Verification

__version__ = "0.1.0"

__all__ = [
    "SCOPE_DEVICE_PHONE_NUMBER",
    "SCOPE_VERIFY",
    "AsyncNumberVerificationClient",
    "AuthorizationRequest",
    "DevicePhoneNumber",
    "FieldViolation",
    "InvalidArgument",
    "NumberVerificationClient",
    "NumberVerificationError",
    "OAuthError",
    "PermissionDenied",
    "Provider",
    "ResourceExhausted",
    "ResponseRejected",
    "Timeout",
    "TokenResponse",
    "Unauthenticated",
    "Unavailable",
    "UserNotAuthenticatedByMobileNetwork",
    "Verification",
    "client_assertion",
    "hash_phone_number",
    "parse_callback",
]
