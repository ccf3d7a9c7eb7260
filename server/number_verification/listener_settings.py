"""The settings of the listeners: where each listens, with which certificate, and whom it knows."""

import ipaddress
import ssl
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from number_verification.authorization.jwks import is_usable

Network = IPv4Network | IPv6Network


class Section(BaseModel):
    """A part of the configuration: what it does not know is refused, and faults do not quote what was set."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ListenAddress(Section):
    """Where a listener listens, written `HOST:PORT`; the host is an IP address. Port 0 takes any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ipaddress.ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen_address(text: str) -> ListenAddress:
    """The address that is written `HOST:PORT` or `[HOST]:PORT`.

    Raises:
        ValueError: it is not.
    """
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be HOST:PORT")
    try:
        return ListenAddress(host=str(ipaddress.ip_address(host.strip("[]"))), port=int(port))
    except ValueError:
        raise ValueError("the host must be an IP address") from None


Listen = Annotated[
    ListenAddress, BeforeValidator(lambda value: listen_address(value) if isinstance(value, str) else value)
]


class TlsSettings(Section):
    """The certificate of a listener. The files are read again when they change."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    """Authorities of client certificates."""
    require_client_certificate: bool = False

    @model_validator(mode="after")
    def _files_are_there(self) -> Self:
        for path in (self.certificate, self.key, self.client_ca):
            if path is not None and not path.is_file():
                raise ValueError(f"there is no file {path}")
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError):
            raise ValueError(f"{self.certificate} and {self.key} are no certificate and its key") from None
        if self.require_client_certificate and self.client_ca is None:
            raise ValueError("client certificates are required, but client_ca names no authority for them")
        return self


class HttpSettings(Section):
    """REST and OAuth."""

    listen: Listen = ListenAddress(host="127.0.0.1", port=9091)
    tls: TlsSettings | None = None
    threads: int = Field(default=8, ge=1, le=256)
    max_waiting: int = Field(default=64, ge=1, le=4096)
    """Requests that may wait for a thread before more are answered 503."""
    max_connections: int = Field(default=4096, ge=64, le=65_536)
    """Connections that each worker keeps, idle ones included; more wait to be accepted."""


class GrpcSettings(Section):
    """A gRPC listener."""

    listen: Listen = ListenAddress(host="127.0.0.1", port=50051)
    tls: TlsSettings | None = None
    threads: int = Field(default=8, ge=1, le=256)
    max_waiting: int = Field(default=512, ge=1, le=4096)
    """Calls that may wait for a thread before more are answered RESOURCE_EXHAUSTED."""
    health: bool = True
    reflection: bool = False


class InternalServiceSettings(Section):
    """A service of the operator, or its staff."""

    name: str = Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")
    """Also its client id, where it has keys."""
    roles: frozenset[Literal["session-feed", "session-read", "operator-staff", "consent-manager"]] = Field(min_length=1)
    certificate_names: frozenset[str] = frozenset()
    token_sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    jwks: dict[str, Any] = Field(default_factory=dict, repr=False)
    """The public keys by which it asks for tokens of the client-credentials grant."""

    @model_validator(mode="after")
    def _can_be_known(self) -> Self:
        if not self.certificate_names and not self.token_sha256 and not self.jwks:
            raise ValueError("needs certificate_names, token_sha256 or jwks to be known by")
        keys = self.jwks.get("keys")
        if isinstance(keys, list) and any(isinstance(key, dict) and ("d" in key or "k" in key) for key in keys):
            raise ValueError("jwks must hold public keys only")
        if self.jwks and not is_usable(self.jwks):
            raise ValueError(
                "jwks must be a JWK set with a key that can be used: EC P-256, or RSA of 2048 bits and more"
            )
        return self


class InternalSettings(GrpcSettings):
    """The listener for services of the operator: session feed and look-ups."""

    listen: Listen = ListenAddress(host="127.0.0.1", port=50052)
    http_listen: Listen | None = None
    """Where the same APIs are served as REST, with the same `tls`, `threads` and `max_waiting`; absent for nowhere."""
    services: tuple[InternalServiceSettings, ...] = ()


class RadiusClientSettings(Section):
    """A gateway, or a proxy in front of gateways, that sends accounting."""

    name: str = Field(min_length=1, max_length=64)
    network: Network
    secret: str = Field(default="", repr=False)
    secret_file: Path | None = None
    require_event_timestamp: bool = True
    """Whether packets without Event-Timestamp are dropped: only with one can a replayed packet be told by its age."""

    @model_validator(mode="after")
    def _has_one_secret(self) -> Self:
        if bool(self.secret) == (self.secret_file is not None):
            raise ValueError("needs either secret or secret_file")
        if self.secret_file is not None and not self.secret_file.is_file():
            raise ValueError(f"there is no file {self.secret_file}")
        return self

    @property
    def secret_bytes(self) -> bytes:
        """The shared secret."""
        return self.secret_file.read_bytes().strip() if self.secret_file else self.secret.encode()


class RadiusSettings(Section):
    """RADIUS accounting (RFC 2866)."""

    listen: Listen = ListenAddress(host="127.0.0.1", port=1813)
    clients: tuple[RadiusClientSettings, ...] = Field(min_length=1)


class AdminSettings(Section):
    """Health, readiness and metrics."""

    listen: Listen = ListenAddress(host="127.0.0.1", port=9464)
