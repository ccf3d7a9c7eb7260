"""The endpoints of the authorization server: each with its limits in front, and its outcome written down."""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network

from number_verification.authorization import discovery
from number_verification.authorization.authorize import AuthorizationEndpoint
from number_verification.authorization.oauth import json_response
from number_verification.authorization.peer_limits import limited
from number_verification.authorization.signing_keys import SigningKeys
from number_verification.authorization.token_endpoint import TokenEndpoint
from number_verification.domain.audit import AuditKind, AuditLog
from number_verification.domain.origin import NetworkOrigin, is_within
from number_verification.domain.rate import TokenBuckets
from number_verification.domain.refusal import Reason
from number_verification.origin.address import parse_address
from number_verification.origin.resolver import OriginPolicy, resolve_origin
from number_verification.rest.application import oauth_endpoint
from number_verification.rest.http import Handler, HttpRequest

_IPV6_PREFIX_BYTES = 8
"""A device has a prefix of 64 bits to itself and takes a new address in it whenever it likes (RFC 8981)."""


def endpoints(
    issuer: str,
    keys: SigningKeys,
    authorize: AuthorizationEndpoint,
    token: TokenEndpoint,
    audit: AuditLog,
    *,
    devices: TokenBuckets | None,
    peers: TokenBuckets | None,
    device_of: Callable[[HttpRequest], str],
) -> Mapping[str, Mapping[str, Handler]]:
    """What answers on which path to which method.

    Args:
        issuer: our issuer identifier.
        keys: that are published.
        authorize: the authorization endpoint.
        token: the token endpoint.
        audit: where the outcomes are recorded.
        devices: how often a device may ask to authorize; None for no limit.
        peers: how often a peer may ask for a token; None for no limit.
        device_of: whose bucket an authorization request is taken from.
    """
    for_devices = oauth_endpoint("authorize", AuditKind.AUTHORIZATION, limited(authorize, devices, device_of), audit)
    # Backends come straight or through proxies of their own, whose headers are nobody's word: the connection counts.
    of_peers = limited(token, peers, lambda request: request.peer)
    for_backends = oauth_endpoint("token", AuditKind.TOKEN, of_peers, audit)
    configuration = discovery.document(issuer)
    return {
        discovery.AUTHORIZE_PATH: {"GET": for_devices, "POST": for_devices},
        discovery.TOKEN_PATH: {"POST": for_backends},
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
