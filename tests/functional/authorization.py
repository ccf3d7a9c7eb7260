"""An OAuth client made of HTTP, forms and joserfc alone, that can do everything wrong."""

import hashlib
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey

from functional.service import PURPOSE, READ_SCOPE, VERIFY_SCOPE, HttpAnswer, Service, request

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SCOPE = f"openid {PURPOSE} {VERIFY_SCOPE} {READ_SCOPE}"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-4.1"
CHALLENGE = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
PHONE_1 = "127.1.0.1"

Pairs = Sequence[tuple[str, str]]


class OAuthClient:
    """One registered client.

    Args:
        service: where it is registered.
        index: which of its clients.
        registered: one that was onboarded since, instead.
    """

    def __init__(self, service: Service, index: int = 0, registered: dict[str, Any] | None = None) -> None:
        self.service = service
        self.issuer: str = service.description["issuer"]
        self.registered: dict[str, Any] = registered or service.description["clients"][index]
        self.redirect_uri: str = self.registered.get("redirect_uri", "")

    def parameters(self, **changes: str | None) -> dict[str, str]:
        """A good authorization request, with some parameters changed, or left out where None."""
        good = {
            "response_type": "code",
            "client_id": self.registered["client_id"],
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": "the-state",
            "nonce": "the-nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return _changed(good, changes)

    def authorize(
        self,
        source: str = PHONE_1,
        headers: Pairs = (),
        extra: Pairs = (),
        **changes: str | None,
    ) -> HttpAnswer:
        """The device opens an authorization request."""
        query = urlencode([*self.parameters(**changes).items(), *extra])
        return request(self.issuer, "GET", f"/oauth2/authorize?{query}", list(headers), source=source)

    def callback(self, source: str = PHONE_1, headers: Pairs = (), **changes: str | None) -> dict[str, str]:
        """What the redirect says. It must be one, to the registered URI."""
        return callback(
            self.authorize(source, headers, (), **changes), changes.get("redirect_uri") or self.redirect_uri
        )

    def code(self, source: str = PHONE_1, headers: Pairs = (), **changes: str | None) -> str:
        """A code."""
        return self.callback(source, headers, **changes)["code"]

    def may_authorize(self, source: str = PHONE_1) -> bool:
        """Whether a code is given, as one asks who waits for it."""
        return "code=" in self.authorize(source).headers.get("location", "")

    def assertion(self, key: Any = None, header: Mapping[str, Any] | None = None, **claims: object) -> str:
        """A client assertion. A claim or header parameter given as None is left out."""
        now = int(time.time())
        private = self.registered["private_jwk"]
        good: dict[str, object] = {
            "iss": self.registered["client_id"],
            "sub": self.registered["client_id"],
            "aud": f"{self.issuer}/oauth2/token",
            "iat": now,
            "exp": now + 60,
            "jti": os.urandom(16).hex(),
        }
        protected = _changed({"alg": "ES256", "kid": private["kid"]}, header or {})
        return jwt.encode(
            protected, _changed(good, claims), key or ECKey.import_key(private), algorithms=[str(protected["alg"])]
        )

    def form(self, code: str, /, **changes: str | None) -> dict[str, str]:
        """A good token request, with some parameters changed, or left out where None."""
        good = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": self.assertion(),
        }
        return _changed(good, changes)

    def redeem(self, code: str, /, headers: Pairs = (), extra: Pairs = (), **changes: str | None) -> HttpAnswer:
        """Exchange a code."""
        body = urlencode([*self.form(code, **changes).items(), *extra]).encode()
        return self.post_token(body, headers)

    def post_token(
        self, body: bytes, headers: Pairs = (), content_type: str = "application/x-www-form-urlencoded"
    ) -> HttpAnswer:
        return request(self.issuer, "POST", "/oauth2/token", [("content-type", content_type), *headers], body)

    def token(self, source: str = PHONE_1, headers: Pairs = (), **changes: str | None) -> str:
        """The whole way: an access token."""
        answer = self.redeem(self.code(source, headers, **changes))
        assert answer.status == 200, answer
        token: str = answer.json["access_token"]
        return token


def callback(answer: HttpAnswer, redirect_uri: str) -> dict[str, str]:
    """What a redirect says. It must go to the URI given, and hide where it came from."""
    assert answer.status == 302, answer
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    url, _, query = answer.headers["location"].partition("?")
    assert url == redirect_uri.partition("?")[0]
    assert not urlsplit(answer.headers["location"]).fragment
    pairs = parse_qsl(query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _changed(good: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**good, **changes}.items() if value is not None}
