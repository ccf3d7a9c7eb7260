"""Refusals: what a caller is told (the kind) and what the operator is told (the reason)."""

import enum
from collections.abc import Sequence
from typing import NamedTuple


class Kind(enum.Enum):
    """What a caller may learn. `errors.py` gives each kind its status and text on every transport."""

    INVALID_ARGUMENT = enum.auto()
    UNAUTHENTICATED = enum.auto()
    PERMISSION_DENIED = enum.auto()
    USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK = enum.auto()
    NOT_FOUND = enum.auto()
    ALREADY_EXISTS = enum.auto()
    ABORTED = enum.auto()
    FAILED_PRECONDITION = enum.auto()
    METHOD_NOT_ALLOWED = enum.auto()
    NOT_ACCEPTABLE = enum.auto()
    UNSUPPORTED_MEDIA_TYPE = enum.auto()
    TOO_MANY_REQUESTS = enum.auto()
    QUOTA_EXCEEDED = enum.auto()
    INTERNAL = enum.auto()
    UNIMPLEMENTED = enum.auto()
    UNAVAILABLE = enum.auto()
    TIMEOUT = enum.auto()


class Reason(enum.StrEnum):
    """Why, for the operator's log, metrics and audit only."""

    # Where the device is (design D5, D6).
    OFF_NET = "off_net"
    PORT_MISSING = "port_missing"
    PORT_UNASSIGNED = "port_unassigned"
    ORIGIN_MALFORMED = "origin_malformed"
    AMBIGUOUS = "ambiguous"
    SESSION_ENDED = "session_ended"
    STALE_FEED = "stale_feed"
    NUMBER_UNKNOWN = "number_unknown"
    WLAN_ACCESS = "wlan_access"
    RAT_NOT_ALLOWED = "rat_not_allowed"
    APN_NOT_ALLOWED = "apn_not_allowed"
    TETHERED = "tethered"
    TETHERING_UNKNOWN = "tethering_unknown"
    ROAMING_NOT_ALLOWED = "roaming_not_allowed"
    OTHER_SUBSCRIBER = "other_subscriber"
    NOT_MOBILE_AUTHENTICATED = "not_mobile_authenticated"

    # Who calls.
    TOKEN_MISSING = "token_missing"
    TOKEN_DUPLICATE = "token_duplicate"
    TOKEN_MALFORMED = "token_malformed"
    TOKEN_UNKNOWN = "token_unknown"
    TOKEN_USED = "token_used"
    TOKEN_EXPIRED = "token_expired"
    TOKEN_NOT_YET_VALID = "token_not_yet_valid"
    TOKEN_ISSUER = "token_issuer"
    TOKEN_AUDIENCE = "token_audience"
    TOKEN_SIGNATURE = "token_signature"
    TOKEN_CLAIMS = "token_claims"
    ISSUER_UNREACHABLE = "issuer_unreachable"
    CALLER_UNKNOWN = "caller_unknown"
    ROLE_MISSING = "role_missing"
    SCOPE_MISSING = "scope_missing"
    APPLICATION_UNKNOWN = "application_unknown"
    APPLICATION_NOT_ACTIVE = "application_not_active"
    APPLICATION_SUSPENDED = "application_suspended"
    APPLICATION_RETIRED = "application_retired"
    CUSTOMER_SUSPENDED = "customer_suspended"
    CUSTOMER_CLOSED = "customer_closed"
    CHANNEL_PARTNER_SUSPENDED = "channel_partner_suspended"
    NOT_SUBSCRIBED = "not_subscribed"
    SUBSCRIPTION_SUSPENDED = "subscription_suspended"
    PERSON_SUSPENDED = "person_suspended"
    FLOW_NOT_ALLOWED = "flow_not_allowed"
    PURPOSE_NOT_ALLOWED = "purpose_not_allowed"
    SIGNED_REQUEST_MISSING = "signed_request_missing"
    DPOP_MISSING = "dpop_missing"
    OUT_OF_REACH = "out_of_reach"
    UNTRUSTED_EDGE = "untrusted_edge"
    NO_ACCESS_RULE = "no_access_rule"

    # Whether the subscriber agrees.
    CONSENT_MISSING = "consent_missing"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_EXPIRED = "consent_expired"
    OPTED_OUT = "opted_out"

    # What was asked.
    INPUT_MALFORMED = "input_malformed"
    CORRELATOR_MALFORMED = "correlator_malformed"
    NO_SUCH_METHOD = "no_such_method"
    NO_SUCH_SESSION = "no_such_session"
    NO_SUCH_ENTITY = "no_such_entity"
    NAME_TAKEN = "name_taken"
    STALE_ETAG = "stale_etag"
    STATE_NOT_ALLOWED = "state_not_allowed"
    ALREADY_SUBSCRIBED = "already_subscribed"
    NOT_A_CUSTOMER = "not_a_customer"
    NOT_COMPLETE = "not_complete"
    NOT_EMPTY = "not_empty"
    PLAN_IN_USE = "plan_in_use"
    OWN_PERSON = "own_person"
    LAST_ADMINISTRATOR = "last_administrator"
    PEER_RATE = "peer_rate"
    APPLICATION_RATE = "application_rate"
    DAILY_QUOTA = "daily_quota"
    MONTHLY_QUOTA = "monthly_quota"
    OVERLOAD = "overload"

    # What went wrong on our side.
    FAULT = "fault"
    STORE_UNAVAILABLE = "store_unavailable"
    STORE_FULL = "store_full"
    STALE_REGISTRY = "stale_registry"
    AUDIT_UNAVAILABLE = "audit_unavailable"


class Violation(NamedTuple):
    """One field that breaks its rule, or one state that stands in the way. Never holds a value of the caller's."""

    field: str
    """The field's path in the contract's JSON names; empty for the input as a whole."""
    description: str
    """What is wrong, for people."""


class Refusal(Exception):
    """A call that is refused.

    Args:
        kind: what the caller is told.
        reason: what the operator is told.
        violations: for INVALID_ARGUMENT, which fields break which rule; for ALREADY_EXISTS, ABORTED and
            FAILED_PRECONDITION, what stands in the way.
        retry_after: seconds after which the same call may succeed, where that is known.
    """

    def __init__(
        self,
        kind: Kind,
        reason: Reason,
        *,
        violations: Sequence[Violation] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{kind.name}: {reason.value}")
        self.kind = kind
        self.reason = reason
        self.violations = tuple(violations)
        self.retry_after = retry_after
