"""A small real authorization server, which answers as a test wants."""

import asyncio
import contextlib
import dataclasses
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from number_verification_client import AuthorizationRequest, NumberVerificationError, Provider, TokenResponse

ACCESS_TOKEN = "issued-token"
CLIENT_ID = "bank"
REDIRECT_URI = "https://bank.example/callback"
PURPOSE = "dpv:FraudPreventionAndDetection"
SCOPES = [PURPOSE, "number-verification:verify"]
KEY = ECKey.generate_key("P-256", {"kid": "client-key"})
DISCOVERY = "/.well-known/openid-configuration"
TOKEN_PATH = "/oauth2/token"


class Reply(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed

    @classmethod
    def json(cls, content: object, status: int = 200, headers: dict[str, str] | None = None) -> "Reply":
        return cls(status, json.dumps(content).encode(), {"Content-Type": "application/json"} | (headers or {}))


class Asked(NamedTuple):
    path: str
    form: dict[str, str]
    headers: dict[str, str]


class AuthorizationServer:
    """Discovery, keys and token endpoint. A test changes the attributes to make it misbehave."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/oauth2/authorize",
            "token_endpoint": f"{self.issuer}/oauth2/token",
            "jwks_uri": f"{self.issuer}/oauth2/jwks",
        }
        self.key: ECKey | RSAKey = ECKey.generate_key("P-256", {"kid": "k1"})
        self.jwks: object = {"keys": [self.key.as_dict(private=False)]}
        self.tokens: dict[str, Any] = {"access_token": ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 300}
        self.replies: dict[str, Reply | Callable[[BaseHTTPRequestHandler], None]] = {}
        """In place of the usual answer, by path."""
        self.asked: list[Asked] = []

    def reply(self, path: str) -> Reply:
        match path:
            case "/.well-known/openid-configuration":
                return Reply.json(self.metadata)
            case "/oauth2/jwks":
                return Reply.json(self.jwks)
            case "/oauth2/token":
                return Reply.json(self.tokens)
            case _:
                return Reply.json({}, 404)

    def claims(self, client_id: str, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self.issuer, "aud": client_id, "sub": "u1", "nonce": nonce, "iat": now, "exp": now + 60}

    def signed(self, claims: dict[str, Any], **header: Any) -> str:
        complete = {"alg": "ES256", "kid": "k1"} | header
        present = {name: value for name, value in complete.items() if value is not None}
        return jwt.encode(present, claims, self.key, algorithms=[complete["alg"]])


@contextlib.contextmanager
def running_provider(tls: ssl.SSLContext | None = None) -> Iterator[AuthorizationServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve({})

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = parse_qs(raw, keep_blank_values=True, strict_parsing=True)
            assert all(len(values) == 1 for values in form.values())
            self._serve({name: values[0] for name, values in form.items()})

        def _serve(self, form: dict[str, str]) -> None:
            provider.asked.append(Asked(self.path, form, {k.lower(): v for k, v in self.headers.items()}))
            reply = provider.replies.get(self.path) or provider.reply(self.path)
            if not isinstance(reply, Reply):
                with contextlib.suppress(OSError):
                    reply(self)
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    provider = AuthorizationServer(f"{'https://localhost' if tls else 'http://127.0.0.1'}:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def discover(face: str, issuer: str, **options: Any) -> Provider:
    if face == "sync":
        return Provider.discover(issuer, **options)
    return asyncio.run(Provider.discover_async(issuer, **options))


def exchange(
    face: str, server: AuthorizationServer, *, request: AuthorizationRequest | None = None, **options: Any
) -> TokenResponse:
    provider = Provider(**{key: server.metadata[key] for key in (field.name for field in dataclasses.fields(Provider))})
    request = request or provider.authorization_request(CLIENT_ID, REDIRECT_URI, SCOPES)
    if face == "sync":
        return provider.exchange_code("the-code", request, KEY, **options)
    return asyncio.run(provider.exchange_code_async("the-code", request, KEY, **options))


def refused(face: str, server: AuthorizationServer, **options: Any) -> NumberVerificationError:
    with pytest.raises(NumberVerificationError) as caught:
        exchange(face, server, **options)
    return caught.value
