"""The partner's side of the sandbox: a device's app and a bank's backend, through real sockets."""

import json
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from number_verification_client import AuthorizationRequest, Provider, TokenResponse, parse_callback

TIMEOUT = 10.0


class Answer(NamedTuple):
    """What came back by HTTP."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Partner:
    """A customer of the operator: an app on devices, and a backend.

    Args:
        sandbox: what `sandbox.json` says.
    """

    def __init__(self, sandbox: Mapping[str, Any]) -> None:
        self._sandbox = sandbox
        self._client = sandbox["clients"][0]
        self._devices = {device["name"]: device for device in sandbox["devices"]}
        self.provider = Provider.discover(sandbox["issuer"])

    def address_of(self, device: str) -> str:
        """Where a device's requests come from, for people."""
        description = self._devices[device]
        return description.get("address") or f"{self._sandbox['trusted_proxy']['address']}, {description['forwarded']}"

    def phone_number_of(self, device: str) -> str:
        """The number of a device's SIM."""
        number: str = self._devices[device]["phone_number"]
        return number

    def begin(self) -> AuthorizationRequest:
        """The backend makes an authorization request for a user."""
        client = self._client
        return self.provider.authorization_request(client["client_id"], client["redirect_uri"], client["scopes"])

    def open_on(self, device: str, request: AuthorizationRequest) -> str:
        """The app on a device opens the request over the device's own connection. Returns the redirect's target."""
        description = self._devices[device]
        headers = {}
        source = description.get("address")
        if source is None:
            source = self._sandbox["trusted_proxy"]["address"]
            headers["Forwarded"] = description["forwarded"]
        url = urlsplit(request.url)
        return exchange(f"{url.path}?{url.query}", request.issuer, source=source, headers=headers).headers["location"]

    def redeem(self, callback: str, request: AuthorizationRequest) -> TokenResponse:
        """The backend exchanges the code that came back.

        Raises:
            OAuthError: there is none, or it is not good.
        """
        code = parse_callback(callback, request)
        return self.provider.exchange_code(code, request, self._client["private_jwk"])

    def token_for(self, device: str) -> str:
        """All of it: an access token for a device's user.

        Raises:
            OAuthError: refused.
        """
        request = self.begin()
        return self.redeem(self.open_on(device, request), request).access_token

    def call(self, method: str, path: str, token: str | None, body: object = None) -> Answer:
        """The backend calls the API by REST."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return exchange(
            f"/number-verification/v2{path}", self._sandbox["api_root"], method=method, headers=headers, body=body
        )


def exchange(
    target: str,
    root: str,
    *,
    method: str = "GET",
    source: str = "127.0.0.1",
    headers: Mapping[str, str] | None = None,
    body: object = None,
) -> Answer:
    """One HTTP request from a source address of this machine."""
    url = urlsplit(root)
    connection = HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT, source_address=(source, 0))
    content = None if body is None else json.dumps(body)
    media_type = {"Content-Type": "application/json"} if content is not None else {}
    try:
        connection.request(method, target, content, {**media_type, **(headers or {})})
        response = connection.getresponse()
        answer = response.read()
    finally:
        connection.close()
    return Answer(
        response.status,
        {name.lower(): value for name, value in response.getheaders()},
        json.loads(answer) if answer else None,
    )
