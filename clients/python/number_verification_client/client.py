"""The API over gRPC, for sync and for async programs: two thin faces over `_calls`."""

import math
import re
from typing import Any, Self, TypeVar

import grpc

from number_verification_client import _calls
from number_verification_client.results import DevicePhoneNumber, Verification

Result = TypeVar("Result")

DEFAULT_TIMEOUT = 10.0
"""Seconds that a call may take."""

# A hostile or confused server must not fill our memory, and no service configuration found in the DNS may switch on
# retries: a token serves one call.
_OPTIONS = (("grpc.max_receive_message_length", 16 * 1024), ("grpc.service_config_disable_resolution", 1))
_LOOPBACK_TARGET = re.compile(r"(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?|unix:.+")


class NumberVerificationClient:
    """Calls of the Number Verification API; one connection, safe to share between threads.

    Every call needs an access token of its own and is sent at most once. All calls raise `NumberVerificationError` or
    one of its subclasses.

    Args:
        target: the service, as gRPC names it: `host:port`.
        credentials: for TLS with a private CA or with a client certificate. Absent: TLS with the CAs gRPC comes with.
        insecure: no TLS. Only for a target on this machine's loopback, since tokens would go over the wire in clear.
        timeout: seconds that a call may take, connecting included. Every call has a deadline.

    Raises:
        ValueError: `insecure` with credentials or with a target elsewhere; a timeout that is not positive.
    """

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._timeout = _checked_timeout(timeout)
        if _plaintext(target, credentials, insecure):
            self._channel = grpc.insecure_channel(target, _OPTIONS)
        else:
            self._channel = grpc.secure_channel(target, credentials or grpc.ssl_channel_credentials(), _OPTIONS)

    def verify(
        self, access_token: str, phone_number: str, *, correlator: str | None = None, timeout: float | None = None
    ) -> Verification:
        """Whether a phone number is the one of the device whose user authorized the call.

        Args:
            access_token: with the scope `number-verification:verify`. The call uses it up.
            phone_number: E.164 with its `+`.
            correlator: sent as `x-correlator`; generated if absent.
            timeout: seconds, in place of the client's.
        """
        return self._send(_calls.verify(access_token, phone_number, correlator), timeout)

    def verify_hashed(
        self,
        access_token: str,
        hashed_phone_number: str,
        *,
        correlator: str | None = None,
        timeout: float | None = None,
    ) -> Verification:
        """As `verify`, with the SHA-256 of the number in hexadecimal: see `hash_phone_number`."""
        return self._send(_calls.verify_hashed(access_token, hashed_phone_number, correlator), timeout)

    def device_phone_number(
        self, access_token: str, *, correlator: str | None = None, timeout: float | None = None
    ) -> DevicePhoneNumber:
        """The phone number of the device whose user authorized the call. Prefer `verify`: it discloses less.

        Args:
            access_token: with the scope `number-verification:device-phone-number:read`. The call uses it up.
            correlator: sent as `x-correlator`; generated if absent.
            timeout: seconds, in place of the client's.
        """
        return self._send(_calls.device_phone_number(access_token, correlator), timeout)

    def close(self) -> None:
        """Close the connection. Calls in flight are cancelled."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send(self, call: _calls.Call[Result], timeout: float | None) -> Result:
        deadline = self._timeout if timeout is None else _checked_timeout(timeout)
        method: Any = self._channel.unary_unary(call.method, None, None)
        try:
            answer, done = method.with_call(call.request, timeout=deadline, metadata=call.metadata)
        except grpc.RpcError as error:
            raise call.failure(error) from error
        return call.read(answer, done.initial_metadata())


class AsyncNumberVerificationClient:
    """`NumberVerificationClient` for asyncio: the same arguments, calls, results and exceptions.

    Make it where the event loop runs; it belongs to that loop.
    """

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        insecure: bool = False,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._timeout = _checked_timeout(timeout)
        if _plaintext(target, credentials, insecure):
            self._channel = grpc.aio.insecure_channel(target, _OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials or grpc.ssl_channel_credentials(), _OPTIONS)

    async def verify(
        self, access_token: str, phone_number: str, *, correlator: str | None = None, timeout: float | None = None
    ) -> Verification:
        """See `NumberVerificationClient.verify`."""
        return await self._send(_calls.verify(access_token, phone_number, correlator), timeout)

    async def verify_hashed(
        self,
        access_token: str,
        hashed_phone_number: str,
        *,
        correlator: str | None = None,
        timeout: float | None = None,
    ) -> Verification:
        """See `NumberVerificationClient.verify_hashed`."""
        return await self._send(_calls.verify_hashed(access_token, hashed_phone_number, correlator), timeout)

    async def device_phone_number(
        self, access_token: str, *, correlator: str | None = None, timeout: float | None = None
    ) -> DevicePhoneNumber:
        """See `NumberVerificationClient.device_phone_number`."""
        return await self._send(_calls.device_phone_number(access_token, correlator), timeout)

    async def close(self) -> None:
        """Close the connection. Calls in flight are cancelled."""
        await self._channel.close(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(self, call: _calls.Call[Result], timeout: float | None) -> Result:
        deadline = self._timeout if timeout is None else _checked_timeout(timeout)
        method: Any = self._channel.unary_unary(call.method, None, None)
        running = method(call.request, timeout=deadline, metadata=call.metadata)
        try:
            answer = await running
        except grpc.RpcError as error:
            raise call.failure(error) from error
        return call.read(answer, await running.initial_metadata())


def _checked_timeout(timeout: float) -> float:
    if not (math.isfinite(timeout) and timeout > 0):
        raise ValueError("timeout must be a positive number of seconds")
    return timeout


def _plaintext(target: str, credentials: grpc.ChannelCredentials | None, insecure: bool) -> bool:
    if not insecure:
        return False
    if credentials is not None:
        raise ValueError("insecure together with credentials: which of the two is meant?")
    if _LOOPBACK_TARGET.fullmatch(target) is None:
        raise ValueError("insecure is for a loopback address or a Unix socket only: tokens must not travel in clear")
    return True
