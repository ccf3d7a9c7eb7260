"""The partner's side of the sandbox: a device's app and a bank's backend, through real sockets."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from number_verification.sandbox.exchange import Answer, exchange
from number_verification.sandbox.onboarding import REDIRECT_URI, SCOPES
from number_verification_client import AuthorizationRequest, OAuthError, Provider, TokenResponse, parse_callback


class Partner:
    """A customer of the operator: an app on devices, and a backend.

    Args:
        sandbox: what `sandbox.json` says.
        client: which of its clients; the first one where it is not said.
    """

    def __init__(self, sandbox: Mapping[str, Any], client: Mapping[str, Any] | None = None) -> None:
        self._sandbox = sandbox
        self._client = client or sandbox["clients"][0]
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
        """The app on a device opens the request over the device's own connection. Returns the redirect's target.

        Raises:
            OAuthError: it is not redirected: the client is not known, or there is nobody who could tell.
        """
        description = self._devices[device]
        headers = {}
        source = description.get("address")
        if source is None:
            source = self._sandbox["trusted_proxy"]["address"]
            headers["Forwarded"] = description["forwarded"]
        url = urlsplit(request.url)
        answer = exchange(f"{url.path}?{url.query}", request.issuer, source=source, headers=headers)
        if "location" not in answer.headers:
            raise OAuthError(answer.body["error"], answer.body["error_description"])
        return answer.headers["location"]

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


def onboarded_since(client_id: str, private_jwk: Mapping[str, Any]) -> dict[str, Any]:
    """A client that `sandbox.json` does not know, registered as docs/onboarding.md does."""
    return {
        "client_id": client_id,
        "private_jwk": private_jwk,
        "redirect_uri": REDIRECT_URI,
        "scopes": list(SCOPES),
    }
