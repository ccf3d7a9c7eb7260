"""The settings of the service, which verify themselves.

What cannot work or is unsafe is refused at start, every fault named at once.
"""

import ipaddress
import tomllib
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from number_verification.authorization.http_fetch import check_uri
from number_verification.authorization.jose import ALGORITHMS
from number_verification.authorization.jwks import is_usable
from number_verification.domain.clock import HOUR, SECOND, Milliseconds
from number_verification.listener_settings import (
    AdminSettings,
    GrpcSettings,
    HttpSettings,
    InternalSettings,
    Listen,
    Network,
    RadiusSettings,
    Section,
)
from number_verification.origin.resolver import HeaderKind
from number_verification.registry_settings import RegistrySettings


class ConfigurationRefused(Exception):
    """The configuration cannot work or is unsafe.

    Args:
        faults: every one of them, each a sentence that begins with where it is.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class DirectNetwork(Section):
    """Addresses that are the devices' own."""

    network: Network
    ip_domain: str = Field(default="", max_length=64)


class IpDomain(Section):
    """The address realm of the sessions of a gateway and an APN; the first that fits counts."""

    ip_domain: str = Field(max_length=64)
    nas: str = ""
    """The gateway, as it is named in sessions; empty for any."""
    apn: str = ""
    """The APN; empty for any."""


class NetworkSettings(Section):
    """The operator's mobile network: what counts as a device on it."""

    direct: tuple[DirectNetwork, ...] = ()
    translated: tuple[IPv4Network, ...] = ()
    """Public networks behind which CGNAT hides devices."""
    ip_domains: tuple[IpDomain, ...] = ()
    apns: frozenset[str] = Field(min_length=1)
    tethering_apns: frozenset[str] = frozenset()
    home_networks: frozenset[str] = frozenset()
    allow_home_routed_roaming: bool = True
    refuse_unknown_tethering: bool = False
    tethering_flag_seconds: int = Field(default=2 * 3600, ge=1)
    session_silence_seconds: int = Field(default=4 * 3600, ge=1, le=24 * 3600)
    feed_silence_seconds: int = Field(default=1800, ge=1, le=24 * 3600)

    @field_validator("apns", "tethering_apns")
    @classmethod
    def _lower_case(cls, apns: frozenset[str]) -> frozenset[str]:
        return frozenset(apn.lower() for apn in apns)

    @model_validator(mode="after")
    def _is_unambiguous(self) -> Self:
        if not self.direct and not self.translated:
            raise ValueError("names no networks, so no device could ever be recognised")
        if both := self.apns & self.tethering_apns:
            raise ValueError(f"{', '.join(sorted(both))} cannot be in both apns and tethering_apns")
        for direct in self.direct:
            for translated in self.translated:
                if direct.network.version == 4 and direct.network.overlaps(translated):
                    raise ValueError(f"{direct.network} in direct overlaps {translated} in translated")
        return self


class ProxyProtocolSettings(Section):
    """A listener for devices behind a load balancer that relays connections and speaks PROXY protocol v2."""

    listen: Listen
    balancers: tuple[Network, ...] = Field(min_length=1)
    """From where connections are accepted."""
    source_address: str
    """The address from which requests are handed to the HTTP listener; one of origin.trusted_proxies."""


class OriginSettings(Section):
    """Whom to believe about where a request came from."""

    trusted_proxies: tuple[Network, ...] = ()
    header: HeaderKind | None = None
    proxy_protocol: ProxyProtocolSettings | None = None
    trusted_edges: tuple[Network, ...] = ()
    """Addresses of edges whose origin metadata is believed."""
    trusted_edge_identities: frozenset[str] = frozenset()
    """Names in client certificates of edges whose origin metadata is believed."""
    underscores_dropped: bool = False
    """The operator's word that every trusted proxy and edge drops headers with an underscore in their name. The HTTP
    server takes `X_Forwarded_For` for `X-Forwarded-For`, so that a client could write what only a proxy may."""

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.trusted_proxies and self.header is None:
            raise ValueError("trusted_proxies needs a header in which they name the device")
        if self.header is not None and not self.trusted_proxies:
            raise ValueError("header is set, but nobody is trusted to write it: trusted_proxies is empty")
        if not self.underscores_dropped and (self.header is HeaderKind.X_FORWARDED_FOR or self.trusted_edges):
            raise ValueError(
                "header = X-Forwarded-For and trusted_edges are safe only where proxies and edges drop headers with an"
                " underscore in their name; if they do, say underscores_dropped = true"
            )
        for name in ("trusted_proxies", "trusted_edges"):
            if any(network.prefixlen == 0 for network in getattr(self, name)):
                raise ValueError(f"{name} must not hold every address there is")
        if self.proxy_protocol is not None:
            source = ipaddress.ip_address(self.proxy_protocol.source_address)
            trusted = any(source in network for network in self.trusted_proxies)
            if not trusted or self.header is not HeaderKind.FORWARDED:
                raise ValueError("proxy_protocol needs header = Forwarded and its source_address in trusted_proxies")
            if not source.is_loopback:
                raise ValueError("proxy_protocol.source_address must be a loopback address")
            if any(source in network for network in self.trusted_edges):
                # Whatever comes in by the ingress could then attest its own origin.
                raise ValueError("proxy_protocol.source_address must not be one of trusted_edges")
        return self


class TokenSettings(Section):
    """Our own access tokens."""

    lifetime_seconds: int = Field(default=300, ge=1, le=300)
    signing_key_days: int = Field(default=30, ge=1, le=398)


class ExternalIssuerSettings(Section):
    """An issuer whose JWT access tokens (RFC 9068) are accepted."""

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_uri: str = ""
    jwks: dict[str, Any] = Field(default_factory=dict, repr=False)
    algorithms: frozenset[str] = Field(default=frozenset({"ES256", "RS256", "PS256"}), min_length=1)

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if bool(self.jwks_uri) == bool(self.jwks):
            raise ValueError("needs either jwks_uri or jwks")
        if self.jwks_uri and not is_https_or_loopback(self.jwks_uri):
            raise ValueError("jwks_uri must be https, or http to loopback")
        if unknown := self.algorithms - ALGORITHMS:
            raise ValueError(f"{', '.join(sorted(unknown))} is not among {', '.join(sorted(ALGORITHMS))}")
        if self.jwks and not is_usable(self.jwks):
            raise ValueError("jwks holds no key that can be used: EC P-256, Ed25519, or RSA of 2048 bits and more")
        return self


class LimitSettings(Section):
    """How much one peer or device may ask, in front of everything else."""

    peer_rate: float | None = Field(default=None, gt=0)
    """Calls a second of one peer address, and as many token requests; absent for no limit."""
    peer_burst: int = Field(default=100, ge=1)
    device_rate: float | None = Field(default=None, gt=0)
    """Authorization requests a second of one device; absent for no limit."""
    device_burst: int = Field(default=10, ge=1)


class StoreSettings(Section):
    """The embedded stores."""

    session_megabytes: int = Field(default=8192, ge=1)
    """Room for subscriber sessions; about 400 bytes each."""
    one_time_megabytes: int = Field(default=256, ge=1)
    """Room for codes, tokens and used identifiers."""


class AuditSettings(Section):
    """The audit trail."""

    keep_days: int = Field(default=400, ge=1)
    """Days after which records are removed."""
    key_days: int = Field(default=30, ge=1, le=366)
    """How long one key serves for the hashes of phone numbers."""


class Settings(Section):
    """Everything there is to set."""

    data_dir: Path
    issuer: str
    """Our issuer identifier: the root of the HTTP listener as the outside sees it."""
    workers: int = Field(default=1, ge=1, le=256)
    """Processes that serve gRPC and HTTP."""
    drain_seconds: float = Field(default=10, ge=0, le=300)
    """How long running calls may go on when the service stops."""
    behind_tls_proxy: bool = False
    """Whether TLS ends at a proxy in front, so that listeners that others can reach may be plain."""
    http: HttpSettings = HttpSettings()
    grpc: GrpcSettings = GrpcSettings()
    internal: InternalSettings | None = None
    radius: RadiusSettings | None = None
    admin: AdminSettings = AdminSettings()
    network: NetworkSettings
    origin: OriginSettings = OriginSettings()
    tokens: TokenSettings = TokenSettings()
    external_issuers: tuple[ExternalIssuerSettings, ...] = ()
    registry: RegistrySettings = RegistrySettings()
    limits: LimitSettings = LimitSettings()
    store: StoreSettings = StoreSettings()
    audit: AuditSettings = AuditSettings()

    def faults(self) -> list[str]:
        """What is unsafe or contradictory between sections, each a sentence that begins with where it is."""
        return [*self._outside_faults(), *self._feed_faults(), *self._caller_faults()]

    def _outside_faults(self) -> Iterator[str]:
        if not is_https_or_loopback(self.issuer) or self.issuer.endswith("/"):
            yield "issuer: must be an https URL (http to loopback only) that does not end with /"
        if self.behind_tls_proxy and not self.origin.trusted_proxies:
            yield "behind_tls_proxy: needs origin.trusted_proxies, or every device would look like the proxy"
        listeners = {"http.listen": self.http, "grpc.listen": self.grpc, "internal.listen": self.internal}
        plain = {name: each.listen for name, each in listeners.items() if each and not each.tls}
        if self.internal is not None and self.internal.http_listen is not None and self.internal.tls is None:
            plain["internal.http_listen"] = self.internal.http_listen
        for name, address in plain.items():
            if not address.is_loopback and not self.behind_tls_proxy:
                yield f"{name}: {address} can be reached by others and has no tls"
        if self.origin.proxy_protocol is not None and self.http.tls is not None:
            yield "origin.proxy_protocol: hands requests on in plain HTTP, which http.tls refuses"

    def _feed_faults(self) -> Iterator[str]:
        if self.radius is None and self.internal is None:
            yield "radius, internal: there is no feed of sessions, so no device could ever be recognised"
        for client in self.radius.clients if self.radius else ():
            # An 8-character secret falls in about an hour to whoever captured one packet.
            if not client.network.is_loopback and len(client.secret_bytes) < 32:
                yield f"radius.clients: the secret of {client.name} is shorter than 32 bytes"
        if self.radius is not None and _repeats([client.network for client in self.radius.clients]):
            yield "radius.clients: a network is named twice"

    def _caller_faults(self) -> Iterator[str]:
        if self.internal is not None:
            if not self.internal.services:
                yield "internal.services: is empty, so nobody could call"
            named = [service.name for service in self.internal.services if service.certificate_names]
            if named and self.internal.tls is None:
                yield f"internal.tls: is needed, {', '.join(named)} would be known by a certificate"
            elif named and self.internal.tls is not None and not self.internal.tls.require_client_certificate:
                # gRPC asks nobody for a certificate whom it does not require one of.
                yield (
                    "internal.tls: require_client_certificate must be true, or gRPC would never know "
                    f"{', '.join(named)} by a certificate"
                )
            if _repeats([service.name for service in self.internal.services]):
                yield "internal.services: a name is used twice"
        if _repeats([issuer.issuer for issuer in self.external_issuers]):
            yield "external_issuers: an issuer is named twice"
        if any(issuer.issuer == self.issuer for issuer in self.external_issuers):
            yield "external_issuers: names our own issuer, whose tokens for the internal services would then pass"


def _repeats(values: Sequence[object]) -> bool:
    return len(set(values)) != len(values)


def is_https_or_loopback(url: str) -> bool:
    """Whether a URL is HTTPS, or plain HTTP to this machine."""
    try:
        check_uri(url)
    except ValueError:
        return False
    return True


def seconds(value: float) -> Milliseconds:
    """A length of time that was given in seconds."""
    return int(value * SECOND)


MAX_EVENT_AGE: Milliseconds = 24 * HOUR
"""How old an event of a feed may be."""

MAX_CLOCK_SKEW: Milliseconds = 300 * SECOND
"""How far ahead of our clock a gateway's may be."""

EVENT_MEMORY: Milliseconds = MAX_EVENT_AGE + HOUR
"""How long sessions that ended are remembered: longer than an event may be late, or it could revive one."""


def load(path: Path) -> Settings:
    """Read a configuration file (TOML).

    Raises:
        ConfigurationRefused: it cannot be read, cannot work, or is unsafe.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationRefused([f"{path}: {error}"]) from None
    return parse(content)


def parse(content: dict[str, Any]) -> Settings:
    """Check a configuration.

    Raises:
        ConfigurationRefused: it cannot work, or is unsafe.
    """
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise ConfigurationRefused(
            [
                f"{'.'.join(map(str, fault['loc'])) or 'configuration'}: {fault['msg'].removeprefix('Value error, ')}"
                for fault in error.errors(include_input=False, include_url=False)
            ]
        ) from None
    if faults := settings.faults():
        raise ConfigurationRefused(faults)
    return settings
