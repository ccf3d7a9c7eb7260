"""The operator's platform as people use it: calls of the internal services, each as somebody."""

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import grpc
from google.protobuf.message import Message

from number_verification.authorization.discovery import AUTHORIZE_PATH
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.listener_settings import ListenAddress
from number_verification.sandbox.exchange import exchange
from number_verification_client import OAuthError, Provider

TIMEOUT = 10.0

PAUSE = 0.05

KNOWN_WITHIN: Milliseconds = 10 * SECOND
"""How long somebody who was just onboarded may be a stranger to the authorization server."""

R = TypeVar("R", bound=Message)


class Platform:
    """The internal listener of a service.

    Args:
        internal: where it listens.
        issuer: gives the tokens for it.
    """

    def __init__(self, internal: ListenAddress, issuer: str) -> None:
        self._channel = grpc.insecure_channel(str(internal))
        self._provider = Provider.discover(issuer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def caller(self, client_id: str, private_jwk: Mapping[str, Any]) -> "Caller":
        """Somebody with a key of their own.

        Raises:
            OAuthError: the authorization server does not know them.
        """
        return Caller(self._channel, self._token(client_id, private_jwk))

    def wait_until_known(self, client_id: str, redirect_uri: str) -> None:
        """Wait until the authorization server knows an application.

        Raises:
            TimeoutError: it does not.
        """
        query = urlencode({"client_id": client_id, "redirect_uri": redirect_uri})
        deadline = time.monotonic() + KNOWN_WITHIN / SECOND
        # Whoever is not known is not redirected (RFC 6749 §4.1.2.1).
        while exchange(f"{AUTHORIZE_PATH}?{query}", self._provider.issuer).status != HTTPStatus.FOUND:
            if time.monotonic() > deadline:
                raise TimeoutError("an application that was onboarded is not known")
            time.sleep(PAUSE)

    def _token(self, client_id: str, private_jwk: Mapping[str, Any]) -> str:
        deadline = time.monotonic() + KNOWN_WITHIN / SECOND
        while True:
            try:
                return self._provider.client_token(client_id, private_jwk).access_token
            except OAuthError:
                # Every worker looks for news several times a second.
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE)


class Caller:
    """Somebody who calls the internal services, for as long as a token lives."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._channel = channel
        self._metadata = (("authorization", f"Bearer {token}"),)

    def call(self, method: str, request: Message, response: type[R]) -> R:
        """Call a method: `package.Service/Method`.

        Raises:
            grpc.RpcError: it was refused.
        """
        send = self._channel.unary_unary(f"/{method}", type(request).SerializeToString, response.FromString)
        answer: R = send(request, metadata=self._metadata, timeout=TIMEOUT)
        return answer
