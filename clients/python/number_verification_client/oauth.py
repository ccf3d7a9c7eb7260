"""What a backend needs around the authorization code flow (OpenID Connect, as CAMARA profiles it).

1. `Provider.discover` once; 2. `Provider.authorization_request`, whose URL the *device* opens over its mobile
connection; 3. `parse_callback` with the URL the device came back to; 4. `Provider.exchange_code`.
"""

import base64
import hashlib
import hmac
import ipaddress
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

from number_verification_client import _http, _id_token
from number_verification_client.assertion import SigningKey, client_assertion
from number_verification_client.errors import (
    NumberVerificationError,
    OAuthError,
    ResourceExhausted,
    ResponseRejected,
    Unavailable,
    legible,
)

SCOPE_VERIFY = "number-verification:verify"
SCOPE_DEVICE_PHONE_NUMBER = "number-verification:device-phone-number:read"

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 §3.3, `scope-token`
_PURPOSE = "dpv:"
_BEARER_TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # RFC 6750 §2.1
_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 §2.2


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A request that is under way. Keep it, on the server's side, in the session of the user it was made for.

    All fields are strings: `dataclasses.asdict` and `AuthorizationRequest(**stored)` carry it through any store.
    """

    url: str = field(repr=False)
    """What the device opens over its mobile connection."""
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    issuer: str
    client_id: str
    redirect_uri: str
    scope: str


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """What a code was exchanged for."""

    access_token: str = field(repr=False)
    """Serves one call."""
    expires_in: int
    """Seconds from now."""
    scope: str
    """What was granted, separated by spaces."""
    id_token: str | None = field(default=None, repr=False)
    """Present where `openid` was asked; verified."""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The verified claims of the ID token, `sub` (this user, for you alone) among them; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Provider:
    """An operator's authorization server.

    Methods that reach out take `http`, a client of yours whose connections live on and whose proxies and CAs are used;
    without it, each call opens and closes its own. Redirects are never followed and no request is repeated.
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str

    @staticmethod
    def discover(
        issuer: str, *, http: httpx.Client | None = None, timeout: float = _http.DEFAULT_TIMEOUT
    ) -> "Provider":
        """Read the provider's metadata (OpenID Connect Discovery §4).

        Args:
            issuer: HTTPS URL, to the letter as the operator names it. Plain HTTP to loopback only.
            http: see the class.
            timeout: seconds.

        Raises:
            ValueError: `issuer` is not such a URL.
            ResponseRejected: the metadata are of another issuer or incomplete, or name endpoints without HTTPS.
            Unavailable, Timeout: no answer.
        """
        return _http.run(_discover(issuer), http, timeout)

    @staticmethod
    async def discover_async(
        issuer: str, *, http: httpx.AsyncClient | None = None, timeout: float = _http.DEFAULT_TIMEOUT
    ) -> "Provider":
        """`discover` for asyncio."""
        return await _http.run_async(_discover(issuer), http, timeout)

    def authorization_request(self, client_id: str, redirect_uri: str, scopes: Sequence[str]) -> AuthorizationRequest:
        """Prepare an authorization request with PKCE (RFC 7636, S256), `state` and `nonce`. Sends nothing.

        Args:
            client_id: as registered with the operator.
            redirect_uri: as registered, to the letter.
            scopes: what to ask for, with exactly one purpose: `dpv:FraudPreventionAndDetection`, for example. One
                access token serves one call, so ask for the scope of that call only.

        Raises:
            ValueError: a scope is malformed or repeated, or there is not exactly one purpose.
        """
        scope = _joined(scopes)
        state, nonce, code_verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
        parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri,
            "scope": scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        separator = "&" if "?" in self.authorization_endpoint else "?"
        return AuthorizationRequest(
            url=f"{self.authorization_endpoint}{separator}{urlencode(parameters)}",
            state=state,
            nonce=nonce,
            code_verifier=code_verifier,
            issuer=self.issuer,
            client_id=client_id,
            redirect_uri=redirect_uri,
            scope=scope,
        )

    def exchange_code(
        self,
        code: str,
        request: AuthorizationRequest,
        key: SigningKey,
        *,
        http: httpx.Client | None = None,
        timeout: float = _http.DEFAULT_TIMEOUT,
    ) -> TokenResponse:
        """Exchange a code for an access token, authenticated by `private_key_jwt`; check the ID token if there is one.

        Args:
            code: from `parse_callback`.
            request: the one that the code answers.
            key: the private key whose public half is registered with the operator: see `client_assertion`.
            http: see the class.
            timeout: seconds for each of the two requests; the second, for the keys, only where there is an ID token.

        Raises:
            ValueError: the request was made for another provider, or the key is unfit.
            OAuthError: the provider refused.
            ResourceExhausted, Unavailable, Timeout: no answer, or none now. A code serves once, too.
            ResponseRejected: the answer or the ID token does not hold.
        """
        return _http.run(_exchange(self, code, request, key), http, timeout)

    async def exchange_code_async(
        self,
        code: str,
        request: AuthorizationRequest,
        key: SigningKey,
        *,
        http: httpx.AsyncClient | None = None,
        timeout: float = _http.DEFAULT_TIMEOUT,
    ) -> TokenResponse:
        """`exchange_code` for asyncio."""
        return await _http.run_async(_exchange(self, code, request, key), http, timeout)

    def client_token(
        self,
        client_id: str,
        key: SigningKey,
        *,
        http: httpx.Client | None = None,
        timeout: float = _http.DEFAULT_TIMEOUT,
    ) -> TokenResponse:
        """An access token for the client itself (RFC 6749 §4.4), for the operator's internal services.

        Unlike a token that stands for a user it serves any number of calls for as long as it lives.

        Args:
            client_id: of a person or system that was onboarded.
            key: as for `exchange_code`.
            http: see the class.
            timeout: seconds.

        Raises:
            ValueError: the key is unfit.
            OAuthError: the provider refused.
            ResourceExhausted, Unavailable, Timeout: no answer, or none now.
            ResponseRejected: the answer does not hold.
        """
        return _http.run(_client_token(self, client_id, key), http, timeout)


def parse_callback(url: str, request: AuthorizationRequest) -> str:
    """The code in the URL to which the device came back.

    Args:
        url: the whole URL that was requested at your `redirect_uri`.
        request: the one kept in the session of the user who came back.

    Raises:
        ResponseRejected: `state` or `iss` (RFC 9207) is missing or another's, a parameter is repeated, or there is
            neither a code nor an error.
        OAuthError: the provider refused; `access_denied` where the device was not authenticated by its connection.
    """
    try:
        parameters = parse_qs(urlsplit(url).query, keep_blank_values=True, max_num_fields=32, errors="strict")
    except ValueError:
        raise ResponseRejected("the callback cannot be read", reason="MALFORMED_ANSWER") from None
    if any(len(values) != 1 for values in parameters.values()):  # RFC 6749 §3.1
        raise ResponseRejected("a parameter of the callback is repeated", reason="MALFORMED_ANSWER")
    answer = {name: values[0] for name, values in parameters.items()}
    if not hmac.compare_digest(answer.get("state", "").encode(), request.state.encode()):
        raise ResponseRejected("the callback answers another request", reason="STATE_MISMATCH")
    if answer.get("iss") != request.issuer:
        raise ResponseRejected("the callback is from another issuer", reason="ISSUER_MISMATCH")
    if answer.get("error"):
        raise OAuthError(legible(answer["error"]), legible(answer.get("error_description", "")))
    if not answer.get("code"):
        raise ResponseRejected("the callback has neither code nor error", reason="MALFORMED_ANSWER")
    return answer["code"]


def _discover(issuer: str) -> _http.Steps[Provider]:
    if not _is_trustworthy(issuer, loopback=True) or set("?#") & set(issuer):
        raise ValueError("the issuer must be an HTTPS URL (or HTTP to loopback) without query and fragment")
    answer = yield _http.Outgoing(issuer.removesuffix("/") + "/.well-known/openid-configuration")
    metadata = _succeeded(answer)
    if metadata.get("issuer") != issuer:
        raise ResponseRejected("the metadata are of another issuer", reason="ISSUER_MISMATCH")
    endpoints: list[Any] = [metadata.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
    if not all(_is_trustworthy(endpoint, loopback=issuer.startswith("http:")) for endpoint in endpoints):
        raise ResponseRejected("the metadata lack an endpoint, or HTTPS", reason="METADATA_INVALID")
    return Provider(issuer, *endpoints)


def _exchange(
    provider: Provider, code: str, request: AuthorizationRequest, key: SigningKey
) -> _http.Steps[TokenResponse]:
    if request.issuer != provider.issuer:
        raise ValueError("the request was made for another provider")
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": request.redirect_uri,
        "code_verifier": request.code_verifier,
        **_authentication(provider, request.client_id, key),
    }
    tokens = _succeeded((yield _http.Outgoing(provider.token_endpoint, form)))
    access_token, expires_in, scope = _token_response(tokens, request.scope)
    id_token = tokens.get("id_token")
    if not isinstance(id_token, str | None):
        raise ResponseRejected("the token response does not keep to RFC 6749 §5.1", reason="MALFORMED_ANSWER")
    if id_token is None:
        if "openid" in request.scope.split():
            raise ResponseRejected("the ID token that was asked for is missing", reason="ID_TOKEN_INVALID")
        return TokenResponse(access_token, expires_in, scope)
    claims = _id_token.validated(
        id_token,
        _succeeded((yield _http.Outgoing(provider.jwks_uri))),
        issuer=provider.issuer,
        client_id=request.client_id,
        nonce=request.nonce,
        access_token=access_token,
    )
    return TokenResponse(access_token, expires_in, scope, id_token, claims)


def _client_token(provider: Provider, client_id: str, key: SigningKey) -> _http.Steps[TokenResponse]:
    form = {"grant_type": "client_credentials", **_authentication(provider, client_id, key)}
    tokens = _succeeded((yield _http.Outgoing(provider.token_endpoint, form)))
    return TokenResponse(*_token_response(tokens, ""))


def _authentication(provider: Provider, client_id: str, key: SigningKey) -> dict[str, str]:
    return {
        "client_id": client_id,
        "client_assertion_type": _ASSERTION_TYPE,
        "client_assertion": client_assertion(client_id, key, provider.token_endpoint),
    }


def _token_response(tokens: Mapping[str, Any], asked: str) -> tuple[str, int, str]:
    """The access token, its life in seconds and its scope, checked."""
    access_token, token_type = tokens.get("access_token"), tokens.get("token_type")
    expires_in, scope = tokens.get("expires_in"), tokens.get("scope", asked)
    if (
        not (isinstance(access_token, str) and _BEARER_TOKEN.fullmatch(access_token))
        or not (isinstance(token_type, str) and token_type.lower() == "bearer")
        or type(expires_in) is not int
        or expires_in <= 0
        or not isinstance(scope, str)
    ):
        raise ResponseRejected("the token response does not keep to RFC 6749 §5.1", reason="MALFORMED_ANSWER")
    return access_token, expires_in, scope


def _succeeded(answer: _http.Answer) -> dict[str, Any]:
    content = answer.json_object()
    if answer.status != 200:
        raise _refusal(answer, content or {})
    if content is None:
        raise ResponseRejected("the answer is not a JSON object", reason="MALFORMED_ANSWER")
    return content


def _refusal(answer: _http.Answer, content: Mapping[str, Any]) -> NumberVerificationError:
    if answer.status == 429:
        return ResourceExhausted("too many requests", reason="TOO_MANY_REQUESTS", retry_after=answer.retry_after)
    if answer.status >= 500:
        return Unavailable(f"HTTP status {answer.status}", reason="UNAVAILABLE", retry_after=answer.retry_after)
    error, description = content.get("error"), content.get("error_description")
    if answer.status >= 400 and isinstance(error, str) and error:
        return OAuthError(legible(error), legible(description) if isinstance(description, str) else "")
    return ResponseRejected(f"HTTP status {answer.status} was not expected", reason="MALFORMED_ANSWER")


def _joined(scopes: Sequence[str]) -> str:
    if not all(_SCOPE.fullmatch(scope) for scope in scopes):
        raise ValueError("a scope is malformed (RFC 6749 §3.3)")
    if len(set(scopes)) != len(scopes):
        raise ValueError("a scope is repeated")
    purposes = [scope for scope in scopes if scope.startswith(_PURPOSE)]
    if len(purposes) != 1 or purposes == [_PURPOSE]:
        raise ValueError("scopes must hold exactly one purpose, dpv:…")
    return " ".join(scopes)


def _is_trustworthy(url: object, *, loopback: bool) -> bool:
    """Whether secrets may be sent there: an absolute HTTPS URL or, if `loopback`, an HTTP one to this machine."""
    try:
        parsed = httpx.URL(url) if isinstance(url, str) else httpx.URL()
    except httpx.InvalidURL:
        return False
    if not parsed.host or parsed.userinfo or parsed.fragment:
        return False
    return parsed.scheme == "https" or (loopback and parsed.scheme == "http" and _is_loopback(parsed.host))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
