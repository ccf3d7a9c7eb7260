"""The composition root: the only place that picks concrete backends and puts the parts together."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from threading import Thread
from typing import NamedTuple

from grpc_interceptor import ServerInterceptor
from sqlalchemy import Engine

from number_verification import log, metrics
from number_verification.authorization.access_tokens import AccessTokens
from number_verification.authorization.client_credentials import ClientCredentials
from number_verification.authorization.endpoints import endpoints
from number_verification.authorization.external_tokens import ExternalIssuer
from number_verification.authorization.id_token import load_salt
from number_verification.authorization.jose import KeySource
from number_verification.authorization.jwks import RemoteKeySet, StaticKeySet
from number_verification.authorization.registration import key_fault, uri_fault
from number_verification.authorization.signing_keys import SigningKeys
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
from number_verification.domain.onboarding.identifiers import new_client_id, new_id
from number_verification.domain.onboarding.principal import Principal, PrincipalClient
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.usage import UsageReading
from number_verification.domain.origin import NetworkOrigin
from number_verification.domain.rate import TokenBuckets
from number_verification.domain.refusal import Reason
from number_verification.gen.audit.v1 import audit_pb2
from number_verification.gen.numberverification.v2 import number_verification_pb2
from number_verification.gen.onboarding.v1 import onboarding_service_pb2
from number_verification.gen.routes import APIS, ROUTES
from number_verification.gen.rules import ACCESS_RULES
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2
from number_verification.grpc_server import GrpcServer
from number_verification.interceptors import chain, compose
from number_verification.interceptors.origin import OriginCheck
from number_verification.internal_http.server import InternalHttpServer
from number_verification.listener_settings import ListenAddress
from number_verification.listening import listen
from number_verification.onetime.lmdb import LmdbOneTimeStore
from number_verification.onetime.store import OneTimeStore
from number_verification.origin.attestation import TrustedEdges
from number_verification.origin.proxy_listener import ProxyIngress
from number_verification.registry.allowances import SqlAllowances
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.approvals import SqlApprovals
from number_verification.registry.audit.keeper import AuditKeeper
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.seals import SealKey
from number_verification.registry.audit.trail import AuditTrail
from number_verification.registry.database import open_database
from number_verification.registry.recent_endings import RecentEndings
from number_verification.registry.snapshot import Snapshot
from number_verification.registry.sql import SqlRegistry
from number_verification.registry.store import Allowances, Registry
from number_verification.registry.subscriber_hash import load_consent_key, subscriber_hash
from number_verification.registry.usage import SqlUsage
from number_verification.rest.api import RestApi
from number_verification.rest.application import HttpApplication
from number_verification.rest.http import Handler, HttpResponse
from number_verification.rest.tables import Route
from number_verification.rest.transcoding import Transcoder
from number_verification.services.audit import AuditServicer
from number_verification.services.handlers import Method, methods
from number_verification.services.messages import EventReader
from number_verification.services.number_verification import NumberVerificationServicer
from number_verification.services.onboarding import OnboardingServicer
from number_verification.services.page_tokens import PageTokens
from number_verification.services.subscriber_session import SubscriberSessionServicer
from number_verification.sessions.lmdb import LmdbSessionStore
from number_verification.sessions.store import SessionStore

POLL_SECONDS = 0.2
"""How often each process asks the registry whether anything changed."""


class Listeners(NamedTuple):
    """Where the listeners listen, with the ports that were reserved for them."""

    http: ListenAddress
    grpc: ListenAddress
    internal: ListenAddress | None
    radius: ListenAddress | None
    admin: ListenAddress
    proxy_protocol: ListenAddress | None = None
    internal_http: ListenAddress | None = None


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


def consent_hash(settings: Settings) -> Callable[[str], bytes]:
    """What approvals know subscribers by.

    Raises:
        KeyFileUnusable: its key cannot be kept, or what is kept cannot be used.
    """
    return subscriber_hash(load_consent_key(settings.data_dir / "keys"))


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
    usage: UsageReading
    records: SqlApprovalRecords
    recent_endings: RecentEndings
    approvals: Approvals
    audit: AuditTrail
    keys: SigningKeys
    salt: bytes

    def start(self) -> None:
        """Begin to follow the registry."""
        self.snapshot.start()
        self.recent_endings.start()

    def close(self) -> None:
        """Release what the stores hold."""
        self.snapshot.stop()
        self.recent_endings.stop()
        for store in (self.records, self.registry, self.sessions, self.one_time, self.audit):
            store.close()


@dataclass(frozen=True, slots=True)
class Service:
    """What one worker process serves."""

    http: HttpApplication
    grpc_servers: tuple[GrpcServer, ...]
    internal_http: InternalHttpServer | None
    ingress: ProxyIngress | None
    parts: Parts
    drain_seconds: float

    def start(self) -> None:
        """Begin to serve gRPC and internal HTTP. Public HTTP is served by whoever hosts the WSGI application."""
        self.parts.start()
        for server in self.grpc_servers:
            server.start()
        if self.ingress is not None:
            self.ingress.start()
        if self.internal_http is not None:
            self.internal_http.start()

    def stop(self) -> None:
        """Let what runs finish, then release the stores."""
        if self.ingress is not None:
            self.ingress.stop(self.drain_seconds)
        internal_http = (
            Thread(target=self.internal_http.stop, args=(self.drain_seconds,)) if self.internal_http else None
        )
        if internal_http is not None:
            internal_http.start()
        for server in self.grpc_servers:
            server.drain(self.drain_seconds)
        if internal_http is not None:
            internal_http.join()
        self.parts.close()


def _parts(settings: Settings) -> Parts:
    engine = registry_database(settings)
    registry, records = SqlRegistry(engine), SqlApprovalRecords(engine, clock.now)
    keys, salt = signing(settings)
    stale_after = settings.registry.stale_after_seconds
    recent = RecentEndings(records, clock=clock.now, poll_interval=POLL_SECONDS, stale_after=stale_after)
    return Parts(
        session_store(settings),
        one_time_store(settings),
        registry,
        Snapshot(registry, poll_seconds=POLL_SECONDS, stale_after=stale_after),
        SqlAllowances(engine),
        SqlUsage(engine),
        records,
        recent,
        SqlApprovals(records, recent, consent_hash(settings)),
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
    limits = settings.limits
    callers = CallerCheck(_configured_services(settings), snapshot, credentials.identify)
    interceptors = chain(
        rules=ACCESS_RULES,
        audit=parts.audit,
        buckets=TokenBuckets(limits.peer_rate, limits.peer_burst) if limits.peer_rate else None,
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
    internal_http = None
    if settings.internal is not None and listeners.internal is not None:
        events = EventReader(ip_domain_rule(settings.network), MAX_EVENT_AGE, MAX_CLOCK_SKEW)
        internal = [
            *methods(
                subscriber_session_pb2.DESCRIPTOR.services_by_name["SubscriberSessionService"],
                SubscriberSessionServicer(sessions, located, events, clock.now),
            ),
            *methods(audit_pb2.DESCRIPTOR.services_by_name["AuditService"], _audit_servicer(settings)),
            *methods(
                onboarding_service_pb2.DESCRIPTOR.services_by_name["OnboardingService"], _onboarding_servicer(parts)
            ),
        ]
        grpc_servers.append(GrpcServer(settings.internal, listeners.internal, internal, interceptors))
        if listeners.internal_http is not None:
            application = _rest(internal, interceptors, {}, settings.internal.threads, internal=True)
            internal_http = InternalHttpServer(settings.internal, listeners.internal_http, application)
    oauth = endpoints(
        settings,
        applications=snapshot,
        callers=callers,
        credentials=credentials,
        approvals=parts.approvals,
        allowances=parts.allowances,
        audit=parts.audit,
        one_time=one_time,
        salt=parts.salt,
        subscriber_at=access.subscriber_at,
        located=located,
    )
    http = _rest(public, interceptors, oauth, settings.http.threads, internal=False)
    ingress = _ingress(settings, listeners)
    return Service(http, tuple(grpc_servers), internal_http, ingress, parts, settings.drain_seconds)


def _rest(
    served: Sequence[Method],
    interceptors: Sequence[ServerInterceptor],
    endpoints: Mapping[str, Mapping[str, Handler]],
    threads: int,
    *,
    internal: bool,
) -> HttpApplication:
    """The REST of the internal APIs, or of the public ones, never of both; and beside it their documents."""
    behaviours = {m.full_name: compose(interceptors, m.full_name, m.behaviour) for m in served}
    routes = [route for route in ROUTES if route.internal is internal and route.rpc in behaviours]
    api = RestApi(Transcoder(routes), behaviours, interceptors)
    return HttpApplication(api, {**endpoints, **_documents(routes)}, threads)


def _onboarding_servicer(parts: Parts) -> OnboardingServicer:
    rules = Rules(ACCESS_RULES, key_fault, uri_fault, new_id, new_client_id)
    # The salt is what all nodes share and nobody else knows.
    page_tokens = PageTokens(hmac.digest(parts.salt, b"page tokens", "sha256"))
    return OnboardingServicer(parts.registry, rules, parts.usage, page_tokens, clock.now)


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


def _documents(routes: Sequence[Route]) -> Mapping[str, Mapping[str, Handler]]:
    """The documents of the APIs that have any of the routes."""
    found: dict[str, Mapping[str, Handler]] = {}
    generated = resources.files("number_verification.gen")
    for api in APIS:
        if not any(route.template.startswith(f"{api.base_path}/") for route in routes):
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
