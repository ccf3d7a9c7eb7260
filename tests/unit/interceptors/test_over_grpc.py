"""The interceptors in a real gRPC server around a servicer that only says that it was reached (pytest-grpc)."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from number_verification import errors
from number_verification.authorization import jose
from number_verification.authorization.client_credentials import ClientCredentials
from number_verification.authorization.signing_keys import SigningKeys
from number_verification.domain import clock
from number_verification.domain.access import AccessCheck
from number_verification.domain.application import Application
from number_verification.domain.attribution import AttributionPolicy
from number_verification.domain.audit import AuditKind, AuditRecord
from number_verification.domain.callers import CallerCheck, ConfiguredService
from number_verification.domain.contract import AccessRule, Caller, OriginNeed
from number_verification.domain.faults import StoreFull
from number_verification.domain.grant import AccessGrant, AuthenticationMethod
from number_verification.domain.onboarding.application import ApplicationState
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import OrganizationState
from number_verification.domain.onboarding.person import PersonState
from number_verification.domain.onboarding.principal import Principal, PrincipalClient
from number_verification.domain.origin import NetworkOrigin
from number_verification.domain.rate import TokenBuckets
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.domain.session import Subscriber
from number_verification.gen.numberverification.v2 import number_verification_pb2 as pb
from number_verification.interceptors import chain
from number_verification.interceptors.call import current
from number_verification.interceptors.origin import OriginCheck
from number_verification.origin.attestation import TrustedEdges
from number_verification.registry.snapshot import Snapshot
from number_verification.services.handlers import Method, handler
from unit.registry.entities import FRAUD, MemoryRegistry, application, everything, organization, person, product
from unit.registry.entities import SERVICE as SERVICE_PROVISION

SERVICE = "test.Service"
SCOPE = "number-verification:verify"
SERVICE_TOKEN = "service-token"
ISSUER = "https://issuer.example"
SERVICES = [
    ConfiguredService(
        PrincipalClient(Principal("core", frozenset({"session-read"})), ""),
        token_digest=hashlib.sha256(SERVICE_TOKEN.encode()).digest(),
    ),
    ConfiguredService(PrincipalClient(Principal("staff", frozenset({"operator-staff"})), "staff")),
]

GRANT = AccessGrant(
    client_id="external",
    scopes=frozenset({SCOPE}),
    purpose="dpv:Test",
    method=AuthenticationMethod.NETWORK,
    authenticated_at=0,
    issued_at=0,
    expires_at=10**15,
    phone_number="+990555000001",
    application="organizations/bank/applications/app",
    customer="organizations/bank",
    channel_partner="organizations/hub",
)
GRANTS = {
    "good": GRANT,
    "no-scope": GRANT._replace(scopes=frozenset()),
    "by-password": GRANT._replace(method=AuthenticationMethod.OTHER),
    "by-sim": GRANT._replace(method=AuthenticationMethod.SIM),
    "suspended": GRANT._replace(client_id="suspended"),
    "ours": GRANT._replace(client_id="bank-app", purpose=FRAUD, application="", customer="", channel_partner=""),
    "ours-other-purpose": GRANT._replace(client_id="bank-app", purpose=SERVICE_PROVISION),
}
REGISTERED = [
    *everything(),
    application(
        name="organizations/bank/applications/suspended", client_id="suspended", state=ApplicationState.SUSPENDED
    ),
]

CONSUMER = AccessRule(Caller.API_CONSUMER, frozenset({SCOPE}), OriginNeed.MOBILE_NETWORK, frozenset())
RULES = {
    f"/{SERVICE}/Consumer": CONSUMER,
    f"/{SERVICE}/AnyOrigin": CONSUMER._replace(origin=OriginNeed.NONE),
    f"/{SERVICE}/Internal": AccessRule(
        Caller.INTERNAL_SERVICE, frozenset(), OriginNeed.NONE, frozenset({"session-read"})
    ),
    f"/{SERVICE}/OtherRole": AccessRule(
        Caller.INTERNAL_SERVICE, frozenset(), OriginNeed.NONE, frozenset({"session-feed"})
    ),
    f"/{SERVICE}/People": AccessRule(
        Caller.INTERNAL_SERVICE, frozenset(), OriginNeed.NONE, frozenset({"administrator", "operator-staff"})
    ),
    f"/{SERVICE}/Raises": CONSUMER,
    f"/{SERVICE}/Stream": CONSUMER,
    f"/{SERVICE}/Impossible": AccessRule(
        Caller.INTERNAL_SERVICE, frozenset(), OriginNeed.MOBILE_NETWORK, frozenset({"session-read"})
    ),
}

grpc_max_workers = 4


class Servicer:
    """Says that it was reached, or fails in the way that it was told."""

    def __init__(self, directory: Path) -> None:
        self.reached = 0
        self.principal: Principal | None = None
        self.withdrawn: Reason | None = None
        self.missing: Reason | None = None
        self.asked_since: list[int] = []
        self.registry = MemoryRegistry(*REGISTERED)
        self.snapshot = Snapshot(self.registry)
        self.snapshot.refresh()
        self.keys = SigningKeys(directory)
        self.credentials = ClientCredentials(ISSUER, self.keys, clock.now)
        self.failure: Exception | None = None
        self.redeemed: list[str] = []
        self.buckets = TokenBuckets(rate=0.001, burst=10**6)
        self.records: list[tuple[AuditRecord, str]] = []
        self.audit_failure: Exception | None = None

    def record(self, record: AuditRecord, phone_number: str = "") -> None:
        if self.audit_failure is not None:
            raise self.audit_failure
        self.records.append((record, phone_number))

    def write(self, *entities: Entity) -> None:
        """Change the registry, and let the snapshot know."""
        self.registry.write(*entities)
        self.snapshot.refresh()

    def credentials_of(self, name: str, **claims: Any) -> str:
        """A token of the client-credentials grant, with some claims changed."""
        client = PrincipalClient(Principal("", frozenset()), name)
        token: str = json.loads(self.credentials.issue({}, client).body)["access_token"]
        if not claims:
            return token
        typ = claims.pop("typ", "at+jwt")
        return self.keys.sign({**jose.unverified_claims(token), **claims}, typ=typ)

    def objection(self, subscriber: Subscriber, application: Application, purpose: str, *_: object) -> Reason | None:
        # Only for grants of external issuers, as those of this test are.
        assert (subscriber.phone_number, application.client_id, purpose) == (GRANT.phone_number, "bank-app", FRAUD)
        return self.missing

    def withdrawal(self, phone_number: str, application: Application, purpose: str, since: int) -> Reason | None:
        assert phone_number == GRANT.phone_number
        assert application.client_id in ("bank-app", "suspended")
        self.asked_since.append(since)
        return self.withdrawn

    def redeem(self, token: str) -> AccessGrant:
        self.redeemed.append(token)
        if token not in GRANTS:
            raise Refusal(Kind.UNAUTHENTICATED, Reason.TOKEN_UNKNOWN)
        return GRANTS[token]

    def serve(self, request: Any, _: grpc.ServicerContext) -> pb.VerifyPhoneNumberResponse:
        self.reached += 1
        self.principal = current.get().principal
        if self.failure is not None:
            raise self.failure
        if not isinstance(request, pb.VerifyPhoneNumberRequest):
            return pb.VerifyPhoneNumberResponse(device_phone_number_verified=len(list(request)) == 2)
        return pb.VerifyPhoneNumberResponse(device_phone_number_verified=True)


class NoBuckets(TokenBuckets):
    """Asks the servicer's buckets, which tests replace."""

    def __init__(self, servicer: Servicer) -> None:
        super().__init__(1, 1)
        self._servicer = servicer

    def take(self, peer: str) -> float:
        return self._servicer.buckets.take(peer)


@pytest.fixture(scope="module")
def grpc_servicer(tmp_path_factory: pytest.TempPathFactory) -> Servicer:
    return Servicer(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Callable[[Servicer, grpc.Server], None]:
    def add(servicer: Servicer, server: grpc.Server) -> None:
        interceptors = chain(
            rules=RULES,
            audit=servicer,
            buckets=NoBuckets(servicer),
            access=AccessCheck(
                servicer.redeem,
                servicer.snapshot,
                servicer,
                None,  # type: ignore[arg-type] - no grant here is founded on a session
                AttributionPolicy(frozenset()),
                lambda: 0,
            ),
            callers=CallerCheck(SERVICES, servicer.snapshot, servicer.credentials.identify),
            origin=OriginCheck(TrustedEdges(), _locate),
        )
        names = [*(name.rpartition("/")[2] for name in RULES), "NoRule"]
        handlers = {
            name: handler(
                Method(SERVICE, name, servicer.serve, pb.VerifyPhoneNumberRequest, name == "Stream"), interceptors
            )
            for name in names
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))

    return add


def _locate(_: NetworkOrigin) -> Reason:
    raise AssertionError("nobody attests anything here")


@pytest.fixture
def servicer(grpc_servicer: Servicer) -> Iterator[Servicer]:
    grpc_servicer.reached = 0
    grpc_servicer.redeemed.clear()
    grpc_servicer.records.clear()
    yield grpc_servicer
    grpc_servicer.withdrawn = None
    grpc_servicer.asked_since.clear()
    grpc_servicer.principal = None
    grpc_servicer.failure = grpc_servicer.audit_failure = None
    grpc_servicer.buckets = TokenBuckets(rate=0.001, burst=10**6)


@pytest.fixture
def call(servicer: Servicer, grpc_channel: grpc.Channel) -> Callable[..., str]:
    """Calls a method; returns OK or `ErrorInfo.reason`."""

    def call(method: str, token: str | None = "good", metadata: Sequence[tuple[str, str]] = ()) -> str:  # noqa: S107 - no password
        request = pb.VerifyPhoneNumberRequest(phone_number="+990555000001").SerializeToString()
        sent = (*((("authorization", f"Bearer {token}"),) if token else ()), *metadata)
        try:
            if method == "Stream":
                grpc_channel.stream_unary(f"/{SERVICE}/Stream", None, None)(
                    iter([request, request]), metadata=sent, timeout=5
                )
            else:
                grpc_channel.unary_unary(f"/{SERVICE}/{method}", None, None)(request, metadata=sent, timeout=5)
        except grpc.RpcError as error:
            return reason_of(error)
        return "OK"

    return call


def reason_of(error: Any) -> str:
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return str(info.reason)


@pytest.mark.parametrize(
    ("method", "token", "outcome"),
    [
        ("Consumer", "good", "OK"),
        ("Consumer", "by-sim", "OK"),
        ("Consumer", None, "UNAUTHENTICATED"),
        ("Consumer", "unknown", "UNAUTHENTICATED"),
        ("Consumer", SERVICE_TOKEN, "UNAUTHENTICATED"),
        ("Consumer", "no-scope", "PERMISSION_DENIED"),
        ("Consumer", "suspended", "PERMISSION_DENIED"),
        ("Consumer", "ours", "OK"),
        ("Consumer", "ours-other-purpose", "PERMISSION_DENIED"),
        ("Consumer", "by-password", "USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"),
        ("AnyOrigin", "by-password", "OK"),
        ("AnyOrigin", "no-scope", "PERMISSION_DENIED"),
        ("Stream", "good", "OK"),
        ("Stream", None, "UNAUTHENTICATED"),
        ("Internal", SERVICE_TOKEN, "OK"),
        ("Internal", "good", "UNAUTHENTICATED"),
        ("Internal", None, "UNAUTHENTICATED"),
        ("OtherRole", SERVICE_TOKEN, "PERMISSION_DENIED"),
        ("Impossible", SERVICE_TOKEN, "USER_NOT_AUTHENTICATED_BY_MOBILE_NETWORK"),
    ],
)
def test_access_rules(
    call: Callable[..., str], servicer: Servicer, method: str, token: str | None, outcome: str
) -> None:
    assert call(method, token) == outcome
    assert servicer.reached == (outcome == "OK")


def test_a_method_without_a_rule_is_refused_whoever_calls(call: Callable[..., str], servicer: Servicer) -> None:
    for token in (None, "good", SERVICE_TOKEN):
        assert call("NoRule", token) == "UNIMPLEMENTED"
    assert servicer.reached == 0
    assert servicer.redeemed == []


def test_an_internal_method_touches_no_access_token(call: Callable[..., str], servicer: Servicer) -> None:
    call("Internal", "good")
    assert servicer.redeemed == []


def test_a_call_over_the_limit_costs_no_token(call: Callable[..., str], servicer: Servicer) -> None:
    servicer.buckets = TokenBuckets(rate=0.001, burst=2)
    assert [call("Consumer") for _ in range(4)] == ["OK", "OK", "TOO_MANY_REQUESTS", "TOO_MANY_REQUESTS"]
    assert servicer.redeemed == ["good", "good"]


def test_a_429_says_when_to_come_back(servicer: Servicer, grpc_channel: grpc.Channel) -> None:
    servicer.buckets = TokenBuckets(rate=0.5, burst=1, clock=lambda: 0)
    servicer.buckets.take("127.0.0.1")
    servicer.buckets.take("::1")
    with pytest.raises(grpc.RpcError) as refused:
        grpc_channel.unary_unary(f"/{SERVICE}/Consumer", None, None)(b"", timeout=5)
    error: Any = refused.value
    status = rpc_status.from_call(error)
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.seconds == 2


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (RuntimeError("+990555000001 is in here"), "INTERNAL"),
        (MemoryError(), "INTERNAL"),
        (Refusal(Kind.UNAVAILABLE, Reason.STORE_UNAVAILABLE, retry_after=7), "UNAVAILABLE"),
        (Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[Violation("f", "d")]), "INVALID_ARGUMENT"),
    ],
)
def test_what_is_told_of_a_failure(
    servicer: Servicer, grpc_channel: grpc.Channel, failure: Exception, reason: str
) -> None:
    servicer.failure = failure
    metadata = (("authorization", "Bearer good"), ("x-correlator", "mine"))
    request = pb.VerifyPhoneNumberRequest(phone_number="+990555000001").SerializeToString()
    with pytest.raises(grpc.RpcError) as told:
        grpc_channel.unary_unary(f"/{SERVICE}/Raises", None, None)(request, metadata=metadata, timeout=5)
    error: Any = told.value
    assert reason_of(error) == reason
    assert "990555000001" not in str(error.trailing_metadata()) + str(error.details())
    assert dict(error.initial_metadata())["x-correlator"] == "mine"
    assert dict(error.trailing_metadata())["x-correlator"] == "mine"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.NOT_FOUND, grpc.StatusCode.NOT_FOUND),
        (Kind.ALREADY_EXISTS, grpc.StatusCode.ALREADY_EXISTS),
        (Kind.ABORTED, grpc.StatusCode.ABORTED),
        (Kind.FAILED_PRECONDITION, grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
def test_what_is_told_of_a_state(
    servicer: Servicer, grpc_channel: grpc.Channel, kind: Kind, status: grpc.StatusCode
) -> None:
    request = pb.VerifyPhoneNumberRequest(phone_number="+990555000001").SerializeToString()
    texts = []
    for violations in ([], [Violation("", "it is suspended"), Violation("etag", "is another")]):
        servicer.failure = Refusal(kind, Reason.INPUT_MALFORMED, violations=violations)
        with pytest.raises(grpc.RpcError) as told:
            grpc_channel.unary_unary(f"/{SERVICE}/Raises", None, None)(
                request, metadata=(("authorization", "Bearer good"),), timeout=5
            )
        error: Any = told.value
        assert (error.code(), reason_of(error)) == (status, kind.name)
        texts.append(error.details())
    assert texts == [errors.TABLE[kind].message, "it is suspended; etag: is another"]


def test_of_very_many_violations_the_first_are_told(servicer: Servicer, grpc_channel: grpc.Channel) -> None:
    """What is told travels as metadata, of which clients take little."""
    servicer.failure = Refusal(
        Kind.INVALID_ARGUMENT,
        Reason.INPUT_MALFORMED,
        violations=[Violation(f"updateMask.paths[{index}]", "cannot be changed" * 7) for index in range(20_000)],
    )
    request = pb.VerifyPhoneNumberRequest(phone_number="+990555000001").SerializeToString()
    with pytest.raises(grpc.RpcError) as told:
        grpc_channel.unary_unary(f"/{SERVICE}/Raises", None, None)(
            request, metadata=(("authorization", "Bearer good"),), timeout=5
        )
    error: Any = told.value
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    broken = error_details_pb2.BadRequest()
    assert rpc_status.from_call(error).details[1].Unpack(broken)
    assert len(broken.field_violations) == errors.MAX_VIOLATIONS


def test_two_authorizations(call: Callable[..., str], servicer: Servicer) -> None:
    assert call("Consumer", "good", [("authorization", "Bearer good")]) == "UNAUTHENTICATED"
    assert servicer.redeemed == []


def test_origin_metadata_of_nobody_who_is_trusted(call: Callable[..., str], servicer: Servicer) -> None:
    assert call("Consumer", "good", [("x-network-origin-access", "cellular")]) == "PERMISSION_DENIED"
    assert call("AnyOrigin", "good", [("x-network-origin-access", "cellular")]) == "PERMISSION_DENIED"
    assert servicer.reached == 0
    assert servicer.redeemed == ["good", "good"]


def test_a_request_is_decoded_only_after_the_caller_was_let_in(servicer: Servicer, grpc_channel: grpc.Channel) -> None:
    """401 before 400: with a deserializer in gRPC's place, whoever calls would learn that it cannot be read."""
    stub = grpc_channel.unary_unary(f"/{SERVICE}/Consumer", None, None)
    for metadata, reason in (((), "UNAUTHENTICATED"), ((("authorization", "Bearer good"),), "INVALID_ARGUMENT")):
        with pytest.raises(grpc.RpcError) as refused:
            stub(b"\xff\xff", metadata=metadata, timeout=5)
        assert reason_of(refused.value) == reason


def test_every_call_is_recorded(call: Callable[..., str], servicer: Servicer) -> None:
    call("Consumer", "good", [("x-correlator", "mine")])
    call("Consumer", "no-scope")
    call("Consumer", "unknown")
    call("Internal", SERVICE_TOKEN)
    call("NoRule")
    (served, number), (denied, _), (unknown, nobody), (internal, _), (none, _) = servicer.records
    assert served == AuditRecord(
        served.time,
        AuditKind.CALL,
        "mine",
        f"/{SERVICE}/Consumer",
        "grpc",
        "OK",
        "",
        "external",
        "organizations/bank/applications/app",
        "organizations/bank",
        "organizations/hub",
        "",
        "",
        "nba",
        "dpv:Test",
    )
    assert (number, nobody) == ("+990555000001", "")
    assert (denied.outcome, denied.reason, denied.application) == (
        "PERMISSION_DENIED",
        "scope_missing",
        "organizations/bank/applications/app",
    )
    assert (unknown.outcome, unknown.reason, unknown.application) == ("UNAUTHENTICATED", "token_unknown", "")
    assert (internal.outcome, internal.principal, internal.client_id) == ("OK", "core", "")
    # What a caller wrote is no operation.
    assert none.operation == "unknown"


@pytest.mark.parametrize("failure", [StoreFull("no room"), RuntimeError("+990555000001 is in here")])
def test_what_cannot_be_recorded_is_not_answered(
    call: Callable[..., str], servicer: Servicer, failure: Exception, capfd: pytest.CaptureFixture[str]
) -> None:
    servicer.audit_failure = failure
    assert call("Consumer", "good") == "UNAVAILABLE"
    assert call("Internal", SERVICE_TOKEN) == "UNAVAILABLE"
    assert servicer.reached == 2
    # A refusal stays the refusal that it is.
    assert call("Consumer", "unknown") == "UNAUTHENTICATED"
    assert call("Consumer", "no-scope") == "PERMISSION_DENIED"
    said = capfd.readouterr().err
    assert said.count('"event":"audit_unavailable"') == 4
    assert said.count('"reason":"audit_unavailable"') == 2
    assert "990555000001" not in said


def test_whom_a_call_was_for_is_logged(
    call: Callable[..., str], servicer: Servicer, capfd: pytest.CaptureFixture[str]
) -> None:
    call("Consumer", "good")
    said = capfd.readouterr().err
    assert (
        '"application":"organizations/bank/applications/app","customer":"organizations/bank",'
        '"channel_partner":"organizations/hub"' in said
    )


@pytest.mark.parametrize("withdrawn", [Reason.CONSENT_WITHDRAWN, Reason.OPTED_OUT])
def test_a_withdrawal_kills_the_grant(call: Callable[..., str], servicer: Servicer, withdrawn: Reason) -> None:
    """401 before 403: also where the application may not be served any more."""
    assert call("Consumer", "ours") == "OK"
    assert servicer.asked_since == [GRANT.issued_at]
    servicer.withdrawn = withdrawn
    for token in ("ours", "suspended"):
        assert call("Consumer", token) == "UNAUTHENTICATED"
    assert call("Consumer", "ours") == "UNAUTHENTICATED"
    record, phone_number = servicer.records[-1]
    assert (record.reason, record.application) == (withdrawn, "organizations/bank/applications/app")
    assert phone_number == GRANT.phone_number
    # Nobody of ours asked for it, so nobody here may take it back.
    assert call("Consumer", "good") == "OK"
    assert servicer.reached == 2


def test_an_external_issuer_does_not_stand_in_for_consent(call: Callable[..., str], servicer: Servicer) -> None:
    servicer.missing = Reason.CONSENT_MISSING
    assert call("Consumer", "ours") == "PERMISSION_DENIED"
    assert servicer.records[-1][0].reason == Reason.CONSENT_MISSING
    # A client that the issuer onboarded itself is its own affair.
    assert call("Consumer", "good") == "OK"


@pytest.fixture
def registered(servicer: Servicer) -> Iterator[Servicer]:
    """A registry that a test may change."""
    yield servicer
    servicer.write(*REGISTERED)


@pytest.mark.parametrize(
    ("entity", "reason"),
    [
        (application(state=ApplicationState.REGISTERED), Reason.APPLICATION_NOT_ACTIVE),
        (application(state=ApplicationState.SUSPENDED), Reason.APPLICATION_SUSPENDED),
        (application(state=ApplicationState.RETIRED), Reason.APPLICATION_RETIRED),
        (organization(state=OrganizationState.SUSPENDED), Reason.CUSTOMER_SUSPENDED),
        (organization(state=OrganizationState.CLOSED), Reason.CUSTOMER_CLOSED),
        (organization(channel_partner="organizations/hub"), Reason.CHANNEL_PARTNER_SUSPENDED),
        (product(scopes=frozenset()), Reason.NOT_SUBSCRIBED),
        (application(scopes=frozenset()), Reason.SCOPE_MISSING),
        (application(purposes={}), Reason.PURPOSE_NOT_ALLOWED),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_standing_counts_at_the_call(
    call: Callable[..., str], registered: Servicer, entity: Entity, reason: Reason
) -> None:
    registered.write(entity)
    assert call("Consumer", "ours") == "PERMISSION_DENIED"
    assert registered.records[-1][0].reason == reason
    assert registered.reached == 0


@pytest.mark.parametrize(
    ("method", "client_id", "outcome"),
    [
        ("People", "ada", "OK"),
        ("People", "staff", "OK"),
        ("Internal", "ada", "PERMISSION_DENIED"),
        ("Internal", "staff", "PERMISSION_DENIED"),
        ("People", "bank-app", "UNAUTHENTICATED"),
        ("People", "core", "UNAUTHENTICATED"),
        ("People", "nobody", "UNAUTHENTICATED"),
        ("People", "", "UNAUTHENTICATED"),
        ("Consumer", "ada", "UNAUTHENTICATED"),
    ],
)
def test_tokens_of_the_client_credentials_grant(
    call: Callable[..., str], servicer: Servicer, method: str, client_id: str, outcome: str
) -> None:
    token = servicer.credentials_of(client_id)
    # It proves who calls, so it may be used again.
    assert [call(method, token), call(method, token)] == [outcome, outcome]
    assert servicer.reached == (2 if outcome == "OK" else 0)


def test_a_use_case_is_told_who_calls(call: Callable[..., str], servicer: Servicer) -> None:
    assert call("People", servicer.credentials_of("ada")) == "OK"
    bank = "organizations/bank"
    assert servicer.principal == Principal(f"{bank}/people/ada", frozenset({"administrator"}), bank)
    assert servicer.records[-1][0].principal == f"{bank}/people/ada"
    assert call("Internal", SERVICE_TOKEN) == "OK"
    assert servicer.principal == Principal("core", frozenset({"session-read"}))
    assert call("Consumer", "good") == "OK"
    assert servicer.principal is None


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://other.example"}, Reason.TOKEN_ISSUER),
        ({"aud": ISSUER}, Reason.TOKEN_AUDIENCE),
        ({"aud": f"{ISSUER}/internal/"}, Reason.TOKEN_AUDIENCE),
        ({"exp": int(time.time()) - 60, "iat": int(time.time()) - 120}, Reason.TOKEN_EXPIRED),
        ({"exp": int(time.time()) + 10_000}, Reason.TOKEN_CLAIMS),
        ({"client_id": 1}, Reason.TOKEN_CLAIMS),
        ({"typ": "JWT"}, Reason.TOKEN_MALFORMED),
    ],
    ids=count(),
)
def test_what_else_we_sign_lets_nobody_in(
    call: Callable[..., str], servicer: Servicer, claims: dict[str, Any], reason: Reason
) -> None:
    assert call("People", servicer.credentials_of("ada", **dict(claims))) == "UNAUTHENTICATED"
    assert servicer.records[-1][0].reason == reason


def test_another_s_signature_lets_nobody_in(call: Callable[..., str], servicer: Servicer, tmp_path: Path) -> None:
    forged = SigningKeys(tmp_path).sign(jose.unverified_claims(servicer.credentials_of("ada")), typ="at+jwt")
    head, _, _ = servicer.credentials_of("ada").partition(".")
    for token in (forged, f"{head}.{forged.partition('.')[2]}", "a.b.c", ".."):
        assert call("People", token) == "UNAUTHENTICATED"
    assert servicer.reached == 0


@pytest.mark.parametrize(
    ("entity", "outcome", "reason"),
    [
        (person(state=PersonState.SUSPENDED), "PERMISSION_DENIED", Reason.PERSON_SUSPENDED),
        (person(state=PersonState.REMOVED), "UNAUTHENTICATED", Reason.CALLER_UNKNOWN),
        (organization(state=OrganizationState.SUSPENDED), "PERMISSION_DENIED", Reason.CUSTOMER_SUSPENDED),
        (person(roles=frozenset()), "PERMISSION_DENIED", Reason.ROLE_MISSING),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_token_is_worth_what_its_principal_is_now(
    call: Callable[..., str], registered: Servicer, entity: Entity, outcome: str, reason: Reason
) -> None:
    """A suspension need not wait until the token expires."""
    token = registered.credentials_of("ada")
    assert call("People", token) == "OK"
    registered.write(entity)
    assert call("People", token) == outcome
    assert registered.records[-1][0].reason == reason


def test_a_registry_that_is_not_known_any_more(
    call: Callable[..., str], servicer: Servicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those the configuration names can go on; who the others are cannot be told."""
    monkeypatch.setattr(servicer.snapshot, "_good_until", 0.0)
    assert call("People", servicer.credentials_of("ada")) == "UNAVAILABLE"
    assert call("Consumer", "ours") == "UNAVAILABLE"
    assert call("Internal", SERVICE_TOKEN) == "OK"
    assert call("People", servicer.credentials_of("staff")) == "OK"
