"""The endpoints of the authorization server: each with its limits in front, and its outcome written down."""

from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import IPv4Network

from number_verification.authorization import discovery
from number_verification.authorization.authorize import AuthorizationEndpoint
from number_verification.authorization.client_credentials import ClientCredentials
from number_verification.authorization.client_keys import ClientKeys
from number_verification.authorization.code_exchange import CodeExchange
from number_verification.authorization.http_fetch import fetch_public_document
from number_verification.authorization.id_token import IdTokens
from number_verification.authorization.oauth import json_response
from number_verification.authorization.peer_limits import limited
from number_verification.authorization.token_endpoint import TokenEndpoint
from number_verification.config import Settings, seconds
from number_verification.domain import clock
from number_verification.domain.application import Applications
from number_verification.domain.approval import Approvals
from number_verification.domain.audit import AuditKind, AuditLog
from number_verification.domain.callers import CallerCheck
from number_verification.domain.grant import SessionAnchor
from number_verification.domain.location import LocatedDevice
from number_verification.domain.origin import NetworkOrigin, is_within
from number_verification.domain.rate import TokenBuckets
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Subscriber
from number_verification.onetime.store import OneTimeStore
from number_verification.origin.address import parse_address
from number_verification.origin.resolver import OriginPolicy, resolve_origin
from number_verification.registry.store import Allowances
from number_verification.rest.application import oauth_endpoint
from number_verification.rest.http import Handler, HttpRequest

_IPV6_PREFIX_BYTES = 8
"""A device has a prefix of 64 bits to itself and takes a new address in it whenever it likes (RFC 8981)."""


def endpoints(
    settings: Settings,
    *,
    applications: Applications,
    callers: CallerCheck,
    credentials: ClientCredentials,
    approvals: Approvals,
    allowances: Allowances,
    audit: AuditLog,
    one_time: OneTimeStore,
    salt: bytes,
    subscriber_at: Callable[[SessionAnchor], Subscriber | Reason],
    located: Callable[[NetworkOrigin], LocatedDevice | Reason],
) -> Mapping[str, Mapping[str, Handler]]:
    """What answers on which path to which method."""
    issuer, limits, keys = settings.issuer, settings.limits, credentials.keys
    policy = OriginPolicy(settings.origin.trusted_proxies, settings.origin.header)

    def device(request: HttpRequest) -> LocatedDevice | Reason:
        origin = origin_of(request, policy)
        return origin if isinstance(origin, Reason) else located(origin)

    authorize = limited(
        AuthorizationEndpoint(issuer, applications, device, approvals, one_time, clock.now),
        TokenBuckets(limits.device_rate, limits.device_burst) if limits.device_rate else None,
        partial(device_key, policy=policy, translated=settings.network.translated),
    )
    lifetime = seconds(settings.tokens.lifetime_seconds)
    token = limited(
        TokenEndpoint(
            frozenset({issuer, issuer + discovery.TOKEN_PATH}),
            lambda client_id: callers.find(client_id) or applications.find(client_id),
            ClientKeys(partial(fetch_public_document, allowed=settings.registry.allow_private_jwks_uris)),
            one_time,
            allowances,
            CodeExchange(one_time, IdTokens(issuer, keys, salt), subscriber_at, approvals, lifetime, clock.now),
            credentials,
            clock.now,
        ),
        TokenBuckets(limits.peer_rate, limits.peer_burst) if limits.peer_rate else None,
        # Backends come straight, or through proxies whose headers are nobody's word: the connection counts.
        lambda request: request.peer,
    )
    for_devices = oauth_endpoint("authorize", AuditKind.AUTHORIZATION, authorize, audit)
    configuration = discovery.document(issuer)
    return {
        discovery.AUTHORIZE_PATH: {"GET": for_devices, "POST": for_devices},
        discovery.TOKEN_PATH: {"POST": oauth_endpoint("token", AuditKind.TOKEN, token, audit)},
        discovery.JWKS_PATH: {"GET": lambda _: json_response(keys.jwks())},
        discovery.DISCOVERY_PATH: {"GET": lambda _: configuration},
    }


def origin_of(request: HttpRequest, policy: OriginPolicy) -> NetworkOrigin | Reason:
    """Where a request came from: its peer, or what a trusted proxy says."""
    peer = parse_address(request.peer)
    if peer is None:
        return Reason.ORIGIN_MALFORMED
    return resolve_origin(peer, request.header("FORWARDED"), request.header("X_FORWARDED_FOR"), policy)


def device_key(request: HttpRequest, policy: OriginPolicy, translated: tuple[IPv4Network, ...]) -> str:
    """What tells the device behind a request from others, as far as its address and port do.

    Behind CGNAT, devices share an address, so the port belongs to it. Whoever cannot be told apart shares a bucket.
    """
    origin = origin_of(request, policy)
    if isinstance(origin, Reason):
        return request.peer
    if len(origin.address) > 4:
        return origin.address[:_IPV6_PREFIX_BYTES].hex()
    port = origin.port if is_within(origin.address, translated) else 0
    return f"{origin.address.hex()}:{port}"
