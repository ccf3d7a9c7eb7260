"""The composition root: puts the parts of a worker together."""

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from threading import Thread
from typing import NamedTuple

from grpc_interceptor import ServerInterceptor

from number_verification import log, metrics
from number_verification.authorization.access_tokens import AccessTokens
from number_verification.authorization.client_credentials import ClientCredentials
from number_verification.authorization.endpoints import endpoints
from number_verification.authorization.external_tokens import ExternalIssuer
from number_verification.authorization.jose import KeySource
from number_verification.authorization.jwks import RemoteKeySet, StaticKeySet
from number_verification.authorization.registration import key_fault, uri_fault
from number_verification.backends import Backends, number_keys, open_backends
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
from number_verification.domain.approving import Approving
from number_verification.domain.attribution import AttributionPolicy
from number_verification.domain.callers import CallerCheck, ConfiguredService
from number_verification.domain.location import AddressPlan, LocatedDevice, locate
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.identifiers import new_client_id, new_id
from number_verification.domain.onboarding.principal import Principal, PrincipalClient
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.origin import NetworkOrigin
from number_verification.domain.rate import TokenBuckets
from number_verification.domain.refusal import Reason
from number_verification.gen.audit.v1 import audit_pb2
from number_verification.gen.consent.v1 import consent_pb2
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
from number_verification.origin.attestation import TrustedEdges
from number_verification.origin.proxy_listener import ProxyIngress
from number_verification.registry.audit.seals import SealKey
from number_verification.rest.api import RestApi
from number_verification.rest.application import HttpApplication
from number_verification.rest.http import Handler, HttpResponse
from number_verification.rest.tables import Route
from number_verification.rest.transcoding import Transcoder
from number_verification.services.audit import AuditServicer
from number_verification.services.consent import ConsentServicer
from number_verification.services.handlers import Method, methods
from number_verification.services.messages import EventReader
from number_verification.services.number_verification import NumberVerificationServicer
from number_verification.services.onboarding import OnboardingServicer
from number_verification.services.page_tokens import PageTokens
from number_verification.services.subscriber_session import SubscriberSessionServicer


class Listeners(NamedTuple):
    """Where the listeners listen, with the ports that were reserved for them."""

    http: ListenAddress
    grpc: ListenAddress
    internal: ListenAddress | None
    radius: ListenAddress | None
    admin: ListenAddress
    proxy_protocol: ListenAddress | None = None
    internal_http: ListenAddress | None = None


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


@dataclass(frozen=True, slots=True)
class Service:
    """What one worker process serves."""

    http: HttpApplication
    grpc_servers: tuple[GrpcServer, ...]
    internal_http: InternalHttpServer | None
    ingress: ProxyIngress | None
    backends: Backends
    drain_seconds: float

    def start(self) -> None:
        """Begin to serve gRPC and internal HTTP. Public HTTP is served by whoever hosts the WSGI application."""
        self.backends.start()
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
        self.backends.close()


def build(settings: Settings, listeners: Listeners) -> Service:
    """Put a worker's parts together."""
    backends = open_backends(settings)
    sessions, one_time, snapshot = backends.sessions, backends.one_time, backends.snapshot
    policy = attribution_policy(settings.network)
    plan = AddressPlan(
        direct=[(direct.network, direct.ip_domain) for direct in settings.network.direct],
        translated=settings.network.translated,
    )

    def located(origin: NetworkOrigin) -> LocatedDevice | Reason:
        return locate(origin, sessions, plan, policy, clock.now())

    issuers = {issuer.issuer: _external_issuer(issuer) for issuer in settings.external_issuers}
    tokens = AccessTokens(one_time, issuers, clock.now)
    access = AccessCheck(tokens, snapshot, backends.approvals, sessions, policy, clock.now)
    credentials = ClientCredentials(settings.issuer, backends.keys, clock.now)
    limits = settings.limits
    callers = CallerCheck(_configured_services(settings), snapshot, credentials.identify)
    interceptors = chain(
        rules=ACCESS_RULES,
        audit=backends.audit,
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
                onboarding_service_pb2.DESCRIPTOR.services_by_name["OnboardingService"], _onboarding_servicer(backends)
            ),
            *methods(consent_pb2.DESCRIPTOR.services_by_name["ConsentService"], _consent_servicer(backends)),
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
        approvals=backends.approvals,
        allowances=backends.allowances,
        audit=backends.audit,
        one_time=one_time,
        salt=backends.salt,
        subscriber_at=access.subscriber_at,
        located=located,
    )
    http = _rest(public, interceptors, oauth, settings.http.threads, internal=False)
    ingress = _ingress(settings, listeners)
    return Service(http, tuple(grpc_servers), internal_http, ingress, backends, settings.drain_seconds)


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


def _onboarding_servicer(backends: Backends) -> OnboardingServicer:
    rules = Rules(ACCESS_RULES, key_fault, uri_fault, new_id, new_client_id)
    # The salt is what all nodes share and nobody else knows.
    page_tokens = PageTokens(hmac.digest(backends.salt, b"page tokens", "sha256"))
    return OnboardingServicer(backends.registry, rules, backends.usage, page_tokens, clock.now)


def _consent_servicer(backends: Backends) -> ConsentServicer:
    def application(name: str) -> RegisteredApplication | None:
        with backends.registry.reading() as reading:
            return reading.find(RegisteredApplication, name)

    return ConsentServicer(Approving(backends.records, application, backends.consent_hash, clock.now))


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
