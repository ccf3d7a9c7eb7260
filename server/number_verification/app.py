"""The composition root: the only place that picks concrete backends and puts the parts together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import resources
from typing import NamedTuple

from sqlalchemy import Engine

from number_verification import log, metrics
from number_verification.authorization import discovery
from number_verification.authorization.access_tokens import AccessTokens
from number_verification.authorization.authorize import AuthorizationEndpoint
from number_verification.authorization.client_credentials import ClientCredentials
from number_verification.authorization.client_keys import Client, ClientKeys
from number_verification.authorization.code_exchange import CodeExchange
from number_verification.authorization.endpoints import device_key, endpoints, origin_of
from number_verification.authorization.external_tokens import ExternalIssuer
from number_verification.authorization.http_fetch import fetch_public_document
from number_verification.authorization.id_token import IdTokens, load_salt
from number_verification.authorization.jose import KeySource
from number_verification.authorization.jwks import RemoteKeySet, StaticKeySet
from number_verification.authorization.signing_keys import SigningKeys
from number_verification.authorization.token_endpoint import TokenEndpoint
from number_verification.config import (
    MAX_CLOCK_SKEW,
    MAX_EVENT_AGE,
    ExternalIssuerSettings,
    NetworkSettings,
    Settings,
    seconds,
)
from number_verification.domain import clock
from number_verification.domain.access import AccessCheck
from number_verification.domain.approval import Approvals
from number_verification.domain.attribution import AttributionPolicy
from number_verification.domain.callers import CallerCheck, ConfiguredService
from number_verification.domain.location import AddressPlan, LocatedDevice, locate
from number_verification.domain.onboarding.principal import Principal, PrincipalClient
from number_verification.domain.origin import NetworkOrigin
from number_verification.domain.rate import TokenBuckets
from number_verification.domain.refusal import Reason
from number_verification.gen.audit.v1 import audit_pb2
from number_verification.gen.numberverification.v2 import number_verification_pb2
from number_verification.gen.routes import APIS, ROUTES
from number_verification.gen.rules import ACCESS_RULES
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2
from number_verification.grpc_server import GrpcServer
from number_verification.interceptors import chain, compose
from number_verification.interceptors.origin import OriginCheck
from number_verification.listener_settings import ListenAddress
from number_verification.listening import listen
from number_verification.onetime.lmdb import LmdbOneTimeStore
from number_verification.onetime.store import OneTimeStore
from number_verification.origin.attestation import TrustedEdges
from number_verification.origin.proxy_listener import ProxyIngress
from number_verification.origin.resolver import OriginPolicy
from number_verification.registry.allowances import SqlAllowances
from number_verification.registry.audit.keeper import AuditKeeper
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.seals import SealKey
from number_verification.registry.audit.trail import AuditTrail
from number_verification.registry.database import open_database
from number_verification.registry.no_approvals import NothingOnRecord
from number_verification.registry.snapshot import Snapshot
from number_verification.registry.sql import SqlRegistry
from number_verification.registry.store import Allowances, Registry
from number_verification.rest.api import RestApi
from number_verification.rest.application import HttpApplication
from number_verification.rest.http import Handler, HttpRequest, HttpResponse
from number_verification.rest.transcoding import Transcoder
from number_verification.services.audit import AuditServicer
from number_verification.services.handlers import methods
from number_verification.services.messages import EventReader
from number_verification.services.number_verification import NumberVerificationServicer
from number_verification.services.subscriber_session import SubscriberSessionServicer
from number_verification.sessions.lmdb import LmdbSessionStore
from number_verification.sessions.store import SessionStore

Locate = Callable[[NetworkOrigin], LocatedDevice | Reason]


class Listeners(NamedTuple):
    """Where the listeners listen, with the ports that were reserved for them."""

    http: ListenAddress
    grpc: ListenAddress
    internal: ListenAddress | None
    radius: ListenAddress | None
    admin: ListenAddress
    proxy_protocol: ListenAddress | None = None


def session_store(settings: Settings) -> SessionStore:
    """The session store that is configured."""
    return LmdbSessionStore(settings.data_dir / "sessions", settings.store.session_megabytes << 20)


def one_time_store(settings: Settings) -> OneTimeStore:
    """The one-time store that is configured."""
    return LmdbOneTimeStore(settings.data_dir / "one-time", settings.store.one_time_megabytes << 20, clock.now)


def registry_database(settings: Settings) -> Engine:
    """The database of the registry that is configured."""
    configured = settings.registry
    return open_database(configured.url or f"sqlite:///{settings.data_dir / 'registry.db'}", configured.password)


def signing(settings: Settings) -> tuple[SigningKeys, bytes]:
    """Our signing keys, and the salt of pairwise subjects. They are made where there are none yet.

    Raises:
        KeyFileUnusable: they cannot be kept, or what is kept cannot be used.
    """
    directory = settings.data_dir / "keys"
    keys = SigningKeys(directory, rotate_after=seconds(settings.tokens.signing_key_days * 86_400))
    return keys, load_salt(directory)


def ip_domain_rule(network: NetworkSettings) -> Callable[[str, str], str]:
    """The address realm of a gateway and an APN."""
    rules = network.ip_domains

    def ip_domain(nas: str, apn: str) -> str:
        for rule in rules:
            if rule.nas in ("", nas) and rule.apn.lower() in ("", apn):
                return rule.ip_domain
        return ""

    return ip_domain


def attribution_policy(network: NetworkSettings) -> AttributionPolicy:
    """What counts as a device on the mobile network."""
    return AttributionPolicy(
        apns=network.apns,
        tethering_apns=network.tethering_apns,
        home_networks=network.home_networks,
        allow_home_routed_roaming=network.allow_home_routed_roaming,
        refuse_unknown_tethering=network.refuse_unknown_tethering,
        tethering_flag_age=seconds(network.tethering_flag_seconds),
        session_silence=seconds(network.session_silence_seconds),
        feed_silence=seconds(network.feed_silence_seconds),
    )


def number_keys(settings: Settings) -> NumberKeys:
    """What phone numbers are marked with in audit records."""
    return NumberKeys(settings.data_dir / "keys", settings.audit.key_days)


def audit_trail(settings: Settings) -> AuditTrail:
    """Where this process writes its audit records.

    Raises:
        StoreUnavailable: nothing could be written there.
    """
    return AuditTrail(settings.data_dir / "audit", number_keys(settings))


def audit_keeper(settings: Settings) -> AuditKeeper:
    """What seals, counts and purges the audit trail, for the one process that does so."""
    data_dir = settings.data_dir
    return AuditKeeper(data_dir / "audit", data_dir / "keys", number_keys(settings), clock.now)


class Parts(NamedTuple):
    """The concrete backends of one worker process, and what is read from them."""

    sessions: SessionStore
    one_time: OneTimeStore
    registry: Registry
    snapshot: Snapshot
    allowances: Allowances
    approvals: Approvals
    audit: AuditTrail
    keys: SigningKeys
    salt: bytes

    def close(self) -> None:
        """Release what the stores hold."""
        self.snapshot.stop()
        for store in (self.registry, self.sessions, self.one_time, self.audit):
            store.close()


@dataclass(frozen=True, slots=True)
class Service:
    """What one worker process serves."""

    http: HttpApplication
    grpc_servers: tuple[GrpcServer, ...]
    ingress: ProxyIngress | None
    parts: Parts
    drain_seconds: float

    def start(self) -> None:
        """Begin to serve gRPC. HTTP is served by whoever hosts the WSGI application."""
        self.parts.snapshot.start()
        for server in self.grpc_servers:
            server.start()
        if self.ingress is not None:
            self.ingress.start()

    def stop(self) -> None:
        """Let what runs finish, then release the stores."""
        if self.ingress is not None:
            self.ingress.stop(self.drain_seconds)
        for server in self.grpc_servers:
            server.drain(self.drain_seconds)
        self.parts.close()


def _parts(settings: Settings) -> Parts:
    engine = registry_database(settings)
    registry = SqlRegistry(engine)
    keys, salt = signing(settings)
    return Parts(
        session_store(settings),
        one_time_store(settings),
        registry,
        Snapshot(registry, stale_after=settings.registry.stale_after_seconds),
        SqlAllowances(engine),
        NothingOnRecord(),
        audit_trail(settings),
        keys,
        salt,
    )


def build(settings: Settings, listeners: Listeners) -> Service:
    """Put a worker's parts together."""
    parts = _parts(settings)
    sessions, one_time, snapshot = parts.sessions, parts.one_time, parts.snapshot
    policy = attribution_policy(settings.network)
    plan = AddressPlan(
        direct=[(direct.network, direct.ip_domain) for direct in settings.network.direct],
        translated=settings.network.translated,
    )

    def located(origin: NetworkOrigin) -> LocatedDevice | Reason:
        return locate(origin, sessions, plan, policy, clock.now())

    issuers = {issuer.issuer: _external_issuer(issuer) for issuer in settings.external_issuers}
    tokens = AccessTokens(one_time, issuers, clock.now)
    access = AccessCheck(tokens, snapshot, parts.approvals, sessions, policy, clock.now)
    credentials = ClientCredentials(settings.issuer, parts.keys, clock.now)
    callers = CallerCheck(_configured_services(settings), snapshot, credentials.identify)
    interceptors = chain(
        rules=ACCESS_RULES,
        audit=parts.audit,
        buckets=_peer_buckets(settings),
        access=access,
        callers=callers,
        origin=OriginCheck(
            TrustedEdges(settings.origin.trusted_edges, settings.origin.trusted_edge_identities), located
        ),
    )
    public = list(
        methods(
            number_verification_pb2.DESCRIPTOR.services_by_name["NumberVerificationService"],
            NumberVerificationServicer(),
        )
    )
    grpc_servers = [GrpcServer(settings.grpc, listeners.grpc, public, interceptors)]
    if settings.internal is not None and listeners.internal is not None:
        events = EventReader(ip_domain_rule(settings.network), MAX_EVENT_AGE, MAX_CLOCK_SKEW)
        internal = [
            *methods(
                subscriber_session_pb2.DESCRIPTOR.services_by_name["SubscriberSessionService"],
                SubscriberSessionServicer(sessions, located, events, clock.now),
            ),
            *methods(audit_pb2.DESCRIPTOR.services_by_name["AuditService"], _audit_servicer(settings)),
        ]
        grpc_servers.append(GrpcServer(settings.internal, listeners.internal, internal, interceptors))
    behaviours = {m.full_name: compose(interceptors, m.full_name, m.behaviour) for m in public}
    beside = {
        **_authorization_server(settings, parts, access, callers, credentials, located),
        **_documents(internal=False),
    }
    transcoder = Transcoder([route for route in ROUTES if not route.internal])
    http = HttpApplication(RestApi(transcoder, behaviours, interceptors), beside, settings.http.threads)
    ingress = _ingress(settings, listeners)
    return Service(http, tuple(grpc_servers), ingress, parts, settings.drain_seconds)


def _audit_servicer(settings: Settings) -> AuditServicer:
    data_dir = settings.data_dir
    return AuditServicer(data_dir / "audit", number_keys(settings), SealKey(data_dir / "keys"))


def _ingress(settings: Settings, listeners: Listeners) -> ProxyIngress | None:
    proxy_protocol = settings.origin.proxy_protocol
    if proxy_protocol is None or listeners.proxy_protocol is None:
        return None
    return ProxyIngress(
        listen(listeners.proxy_protocol),
        trusted_proxies=proxy_protocol.balancers,
        upstream=(listeners.http.host, listeners.http.port),
        source_address=proxy_protocol.source_address,
        on_refusal=_note_ingress_refusal,
    )


def _note_ingress_refusal(reason: Reason) -> None:
    log.event("ingress_refused", reason=reason.value)
    metrics.authorizations.labels("proxy_protocol", "access_denied", reason.value).inc()


def _authorization_server(
    settings: Settings,
    parts: Parts,
    access: AccessCheck,
    callers: CallerCheck,
    credentials: ClientCredentials,
    located: Locate,
) -> Mapping[str, Mapping[str, Handler]]:
    issuer, snapshot, one_time = settings.issuer, parts.snapshot, parts.one_time
    policy = OriginPolicy(settings.origin.trusted_proxies, settings.origin.header)

    def device(request: HttpRequest) -> LocatedDevice | Reason:
        origin = origin_of(request, policy)
        return origin if isinstance(origin, Reason) else located(origin)

    def client(client_id: str) -> Client | None:
        return callers.find(client_id) or snapshot.find(client_id)

    keys = credentials.keys
    lifetime = seconds(settings.tokens.lifetime_seconds)
    token = TokenEndpoint(
        audiences=frozenset({issuer, issuer + discovery.TOKEN_PATH}),
        find=client,
        keys=ClientKeys(partial(fetch_public_document, allowed=settings.registry.allow_private_jwks_uris)),
        one_time=one_time,
        allowances=parts.allowances,
        exchange=CodeExchange(
            one_time,
            IdTokens(issuer, keys, parts.salt),
            access.subscriber_at,
            parts.approvals,
            lifetime,
            clock.now,
        ),
        client_credentials=credentials,
        clock=clock.now,
    )
    limits = settings.limits
    return endpoints(
        issuer,
        keys,
        AuthorizationEndpoint(issuer, snapshot, device, parts.approvals, one_time, clock.now),
        token,
        parts.audit,
        devices=TokenBuckets(limits.device_rate, limits.device_burst) if limits.device_rate else None,
        peers=_peer_buckets(settings),
        device_of=partial(device_key, policy=policy, translated=settings.network.translated),
    )


def _peer_buckets(settings: Settings) -> TokenBuckets | None:
    limits = settings.limits
    return TokenBuckets(limits.peer_rate, limits.peer_burst) if limits.peer_rate else None


def _documents(*, internal: bool) -> Mapping[str, Mapping[str, Handler]]:
    found: dict[str, Mapping[str, Handler]] = {}
    generated = resources.files("number_verification.gen")
    for api in APIS:
        if api.internal is not internal:
            continue
        for ending, media_type in (("json", "application/json"), ("yaml", "application/yaml")):
            body = generated.joinpath(f"{api.document}.{ending}").read_bytes()
            found[f"{api.base_path}/openapi.{ending}"] = {
                "GET": _always(HttpResponse(200, [("Content-Type", media_type)], body))
            }
    return found


def _always(response: HttpResponse) -> Handler:
    return lambda _: response


def _external_issuer(settings: ExternalIssuerSettings) -> ExternalIssuer:
    return ExternalIssuer(settings.issuer, settings.audience, settings.algorithms, _keys(settings))


def _keys(settings: ExternalIssuerSettings) -> KeySource:
    if not settings.jwks_uri:
        return StaticKeySet(settings.jwks)
    keys = RemoteKeySet(settings.jwks_uri)
    keys.warm_up()
    return keys


def _configured_services(settings: Settings) -> list[ConfiguredService]:
    return [
        ConfiguredService(
            PrincipalClient(
                Principal(service.name, frozenset(service.roles)),
                client_id=service.name if service.jwks else "",
                jwks=service.jwks,
            ),
            service.certificate_names,
            bytes.fromhex(service.token_sha256),
        )
        for service in (settings.internal.services if settings.internal else ())
    ]
