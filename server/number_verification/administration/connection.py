"""Which service a command speaks to, and as whom."""

import functools
import ipaddress
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx

from number_verification.administration import files
from number_verification.administration.api import Api
from number_verification.administration.failure import Exit, Failure
from number_verification_client import NumberVerificationError, OAuthError, Provider, ResourceExhausted

SPARE_SECONDS = 30.0
"""A token that has less to live is not used any more."""
MAX_ANSWER = 64 * 1024 * 1024

_OPTIONS = (("grpc.max_receive_message_length", MAX_ANSWER), ("grpc.service_config_disable_resolution", 1))


@dataclass(frozen=True)
class Connection:
    """What the command line says of it."""

    server: str | None = None
    issuer: str | None = None
    client_id: str | None = None
    key: Path | None = None
    ca: Path | None = None
    cert: Path | None = None
    cert_key: Path | None = None
    sandbox: Path | None = None
    default_sandbox: Path | None = None
    """The sandbox that is meant where nothing is said and there is one."""
    timeout: float = 10.0

    @functools.cached_property
    def api(self) -> Api:
        """The services, as somebody.

        Raises:
            Failure: what was said is not enough, or contradicts itself.
        """
        target = self._target()
        return Api(self._channel(target.server), target.token, self.timeout)

    def close(self) -> None:
        """Close the connection, where one was opened."""
        if "api" in vars(self):
            self.api.close()

    def _target(self) -> "_Target":
        named = {"--server": self.server, "--issuer": self.issuer, "--client-id": self.client_id, "--key": self.key}
        said = [option for option, value in named.items() if value is not None]
        sandbox = self.sandbox
        if sandbox is None and not said and self.default_sandbox is not None and self.default_sandbox.exists():
            sandbox = self.default_sandbox
        if sandbox is not None:
            if said:
                raise Failure(f"--sandbox and {said[0]} are both given: which of the two is meant?")
            return _of_sandbox(sandbox, self._http, self.timeout)
        if self.server is None:
            raise Failure("which service? Say --server HOST:PORT, or --sandbox FILE")
        if self.cert is not None and said == ["--server"]:
            return _Target(self.server, None)
        missing = [option for option in named if option not in said]
        if missing:
            raise Failure(f"as whom? {' and '.join(missing)} must be given, or --cert and --cert-key")
        key = files.private_jwk(self.key or Path())
        return _Target(
            self.server, _Tokens(self.issuer or "", self.client_id or "", key, self._http, self.timeout).token
        )

    def _channel(self, server: str) -> grpc.Channel:
        if (self.cert is None) != (self.cert_key is None):
            raise Failure("--cert and --cert-key go together")
        if self.ca is None and self.cert is None and _is_loopback(server):
            # Nobody else can listen on the way; everywhere else there is no way around TLS.
            return grpc.insecure_channel(server, _OPTIONS)
        credentials = grpc.ssl_channel_credentials(
            root_certificates=files.text(self.ca).encode() if self.ca else None,
            private_key=files.secret(self.cert_key) if self.cert_key else None,
            certificate_chain=files.text(self.cert).encode() if self.cert else None,
        )
        return grpc.secure_channel(server, credentials, _OPTIONS)

    def _http(self) -> httpx.Client:
        context = ssl.create_default_context()
        if self.ca is not None:
            try:
                context.load_verify_locations(cadata=files.text(self.ca))
            except ssl.SSLError:
                raise Failure(f"{self.ca} holds no certificate that can be read") from None
        return httpx.Client(verify=context)


@dataclass(frozen=True)
class _Target:
    server: str
    token: Callable[[], str] | None


def _of_sandbox(path: Path, http: Callable[[], httpx.Client], timeout: float) -> _Target:
    description = files.json_object(path, files.secret(path))
    internal: Mapping[str, Any] = description.get("internal") or {}
    try:
        server, client_id, key = internal["listener"], internal["client_id"], internal["private_jwk"]
        return _Target(server, _Tokens(description["issuer"], client_id, key, http, timeout).token)
    except (KeyError, TypeError):
        raise Failure(f"{path} does not say how its internal services are called") from None


@dataclass
class _Tokens:
    """Access tokens of the client-credentials grant, each used for as long as it lives."""

    issuer: str
    client_id: str
    key: Mapping[str, Any] = field(repr=False)
    http: Callable[[], httpx.Client]
    timeout: float
    _current: str = field(default="", repr=False)
    _until: float = 0.0

    def token(self) -> str:
        if time.monotonic() >= self._until:
            self._get()
        return self._current

    def _get(self) -> None:
        asked = time.monotonic()
        try:
            with self.http() as http:
                provider = Provider.discover(self.issuer, http=http, timeout=self.timeout)
                answer = provider.client_token(self.client_id, self.key, http=http, timeout=self.timeout)
        except (OAuthError, ResourceExhausted) as error:
            raise Failure(f"refused a token: {error}", Exit.REFUSED) from None
        except NumberVerificationError as error:
            raise Failure(f"no token: {error}", Exit.NOT_REACHABLE) from None
        except ValueError as error:
            raise Failure(f"no token: {error}") from None
        self._current = answer.access_token
        self._until = asked + max(answer.expires_in - SPARE_SECONDS, answer.expires_in / 2)


def _is_loopback(server: str) -> bool:
    host, separator, port = server.rpartition(":")
    if not separator or not port.isdecimal() or not host:
        raise Failure(f"--server must be HOST:PORT, not {server}")
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
