"""6. Network origin: whether the end user's device stands where the method needs it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from number_verification.domain.access import Authenticated, require_mobile_authentication
from number_verification.domain.contract import AccessRule, OriginNeed
from number_verification.domain.location import LocatedDevice
from number_verification.domain.origin import Access, AttestedOrigin, IpAddress, NetworkOrigin, TetheringAttestation
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.interceptors.call import Call, current
from number_verification.interceptors.peer import peer_address, peer_identities
from number_verification.origin.address import parse_address
from number_verification.origin.attestation import TrustedEdges, is_trusted_edge, parse_attestation

_REFUSED_ACCESS = {Access.WLAN: Reason.WLAN_ACCESS, Access.FIXED: Reason.OFF_NET}


@dataclass(frozen=True, slots=True)
class OriginCheck:
    """What the origin interceptor asks: whom to believe, and who stands behind an address."""

    edges: TrustedEdges
    locate: Callable[[NetworkOrigin], LocatedDevice | Reason]


class OriginInterceptor(ServerInterceptor):
    """Checks how the end user was authenticated, and that what a trusted edge attests does not contradict it."""

    def __init__(self, rules: Mapping[str, AccessRule], check: OriginCheck) -> None:
        self._rules = rules
        self._check = check

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        """Refuse a device that is not where it must be."""
        call = current.get()
        attested = self._attested(call, context)
        if self._rules[method_name].origin is OriginNeed.MOBILE_NETWORK:
            authenticated = call.authenticated
            if authenticated is None:
                raise Refusal(Kind.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK, Reason.NOT_MOBILE_AUTHENTICATED)
            require_mobile_authentication(authenticated.grant)
            if attested is not None:
                reason = self._contradiction(attested, authenticated)
                if reason is not None:
                    raise Refusal(Kind.USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK, reason)
        return method(request_or_iterator, context)

    def _attested(self, call: Call, context: grpc.ServicerContext) -> AttestedOrigin | None:
        if not call.origin_metadata:
            return None
        if not is_trusted_edge(_peer(context), peer_identities(context), self._check.edges):
            raise Refusal(Kind.PERMISSION_DENIED, Reason.UNTRUSTED_EDGE)
        attested = parse_attestation(call.origin_metadata)
        if isinstance(attested, Reason):
            violation = Violation("", "the network origin metadata is malformed")
            raise Refusal(Kind.INVALID_ARGUMENT, attested, violations=[violation])
        return attested

    def _contradiction(self, attested: AttestedOrigin, authenticated: Authenticated) -> Reason | None:
        if attested.access in _REFUSED_ACCESS:
            return _REFUSED_ACCESS[attested.access]
        if attested.tethered is TetheringAttestation.YES:
            return Reason.TETHERED
        if attested.origin is None:
            return None
        device = self._check.locate(attested.origin)
        if isinstance(device, Reason):
            return device
        expected, found = authenticated.subscriber, device.session.subscriber
        # External issuers vouch for a number only.
        same = found == expected if expected.imsi else found.phone_number == expected.phone_number
        return None if same else Reason.OTHER_SUBSCRIBER


def _peer(context: grpc.ServicerContext) -> IpAddress | None:
    origin = parse_address(peer_address(context))
    return origin.address if origin else None
