"""The consent service over a real gRPC server, on a real registry."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_interceptor import ServerInterceptor
from grpc_status import rpc_status

from number_verification.domain import clock
from number_verification.domain.application import LegalBasis
from number_verification.domain.approving import Approving
from number_verification.domain.contract import AccessRule, Caller, OriginNeed
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.organization import Organization, OrganizationKind
from number_verification.gen.consent.v1 import consent_pb2 as pb
from number_verification.gen.routes import ROUTES
from number_verification.gen.rules import ACCESS_RULES
from number_verification.interceptors.call import current
from number_verification.interceptors.correlator import CorrelatorInterceptor
from number_verification.interceptors.refusals import ErrorsInterceptor
from number_verification.interceptors.validation import ValidationInterceptor
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.database import migrate, open_database
from number_verification.registry.sql import SqlRegistry
from number_verification.registry.subscriber_hash import subscriber_hash
from number_verification.services.consent import ConsentServicer
from number_verification.services.handlers import handler, methods

SERVICE = pb.DESCRIPTOR.services_by_name["ConsentService"]
NUMBER, OTHER_NUMBER = "+990555000001", "+990555000002"
BANK = "organizations/first-bank/applications/banking-app"
NOWHERE = "organizations/first-bank/applications/no-such-app"
FRAUD, DELIVERY, ADS = "dpv:FraudPreventionAndDetection", "dpv:ServiceProvision", "dpv:Advertising"
VERIFY, READ = "number-verification:verify", "number-verification:device-phone-number:read"
REQUEST = "7b0c1b1e-0c5f-4a52-9a5d-6a2f0d6e3c11"

GIVE = pb.GiveConsentRequest(
    phone_number=NUMBER, application=BANK, purpose=FRAUD, scopes=[VERIFY], evidence="agreed in dialogue 17"
)
WITHDRAW = pb.WithdrawConsentRequest(phone_number=NUMBER, application=BANK, purpose=FRAUD, evidence="call 18")
LOOK_UP = pb.LookUpConsentRequest(
    phone_number=NUMBER, application=BANK, purpose=FRAUD, scopes=["openid", FRAUD, VERIFY]
)
OPT_OUT = pb.OptOutRequest(phone_number=NUMBER)
OPT_IN = pb.OptInRequest(phone_number=NUMBER)
LIST = pb.ListApprovalsRequest(phone_number=NUMBER)


class KnownCaller(ServerInterceptor):
    """In the place of the token interceptor: everybody is who they say."""

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        current.get().caller = dict(context.invocation_metadata()).get("caller", "desk")
        return method(request_or_iterator, context)


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[grpc.Channel]:
    engine = open_database(f"sqlite:///{tmp_path}/registry.db")
    migrate(engine)
    registry, records = SqlRegistry(engine), SqlApprovalRecords(engine, clock.now)
    with registry.writing() as writing:
        writing.add(
            Organization(name="organizations/first-bank", kind=OrganizationKind.CUSTOMER, display_name="Bank"), 1
        )
        writing.add(
            RegisteredApplication(
                name=BANK,
                display_name="App",
                client_id="bank",
                scopes=frozenset({"openid", VERIFY, READ}),
                purposes={FRAUD: LegalBasis.CONSENT, DELIVERY: LegalBasis.LEGITIMATE_INTEREST},
            ),
            1,
        )

    def registered(name: str) -> RegisteredApplication | None:
        with registry.reading() as reading:
            return reading.find(RegisteredApplication, name)

    servicer = ConsentServicer(Approving(records, registered, subscriber_hash(b"k" * 32), clock.now))
    interceptors = (CorrelatorInterceptor(), ErrorsInterceptor(), KnownCaller(), ValidationInterceptor())
    server = grpc.server(ThreadPoolExecutor(2))
    handlers = {each.name: handler(each, interceptors) for each in methods(SERVICE, servicer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait()
    records.close()
    registry.close()


class Desk:
    """Calls the service with request messages, each of which names its method."""

    def __init__(self, channel: grpc.Channel, caller: str = "desk") -> None:
        self.channel = channel
        self.caller = caller

    def __call__(self, request: Message, **changes: Any) -> Any:
        sent = type(request)()
        sent.CopyFrom(request)
        for field, value in changes.items():
            sent.ClearField(field)
            sent.MergeFrom(type(request)(**{field: value}))
        method = type(request).__name__.removesuffix("Request")
        response = getattr(pb, f"{method}Response")
        rpc = self.channel.unary_unary(f"/{SERVICE.full_name}/{method}", type(request).SerializeToString, None)
        return response.FromString(rpc(sent, timeout=10, metadata=(("caller", self.caller),)))

    def refused(self, request: Message, **changes: Any) -> tuple[str, Sequence[str]]:
        """The public reason and the fields that are at fault."""
        with pytest.raises(grpc.RpcError) as refused:
            self(request, **changes)
        error: Any = refused.value
        assert NUMBER[1:] not in str(error)
        reason, fields = "", []
        for detail in rpc_status.from_call(error).details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                reason = info.reason
            elif detail.Unpack(bad):
                fields = [violation.field for violation in bad.field_violations]
        return reason, fields


@pytest.fixture
def desk(channel: grpc.Channel) -> Desk:
    return Desk(channel)


def test_from_giving_to_withdrawing(desk: Desk) -> None:
    assert desk(LOOK_UP) == pb.LookUpConsentResponse(refusal_reason="consent_missing")
    given = desk(GIVE).consent
    assert (given.application, given.purpose, list(given.scopes)) == (BANK, FRAUD, [VERIFY])
    assert given.HasField("give_time")
    assert not given.HasField("expire_time")
    assert not given.HasField("withdraw_time")
    assert desk(LOOK_UP) == pb.LookUpConsentResponse(allowed=True, consent=given)
    withdrawn = desk(WITHDRAW).consent
    assert withdrawn.give_time == given.give_time
    assert withdrawn.HasField("withdraw_time")
    assert desk(LOOK_UP) == pb.LookUpConsentResponse(refusal_reason="consent_withdrawn", consent=withdrawn)
    anew = desk(GIVE).consent
    assert desk(LOOK_UP) == pb.LookUpConsentResponse(allowed=True, consent=anew)


def test_consent_counts_for_what_it_was_given_for(desk: Desk) -> None:
    desk(GIVE)
    assert desk(LOOK_UP, scopes=[VERIFY, READ]).refusal_reason == "consent_missing"
    assert desk(LOOK_UP, phone_number=OTHER_NUMBER).refusal_reason == "consent_missing"
    assert desk(LOOK_UP, purpose=DELIVERY).allowed


def test_consent_expires(desk: Desk) -> None:
    request = pb.GiveConsentRequest()
    request.CopyFrom(GIVE)
    request.expire_time.FromMilliseconds(clock.now() + 3_600_000)
    assert desk(request).consent.expire_time == request.expire_time
    assert desk(LOOK_UP).allowed


@pytest.mark.parametrize("purpose", [FRAUD, DELIVERY])
def test_opting_out_and_in(desk: Desk, purpose: str) -> None:
    desk(GIVE)
    everything = desk(OPT_OUT).opt_out
    this = desk(OPT_OUT, application=BANK, purpose=purpose).opt_out
    assert (everything.application, everything.purpose) == ("", "")
    desk(GIVE)
    found = desk(LOOK_UP, purpose=purpose)
    assert (found.refusal_reason, list(found.opt_outs)) == ("opted_out", [this, everything])
    desk(OPT_IN)
    assert list(desk(LOOK_UP, purpose=purpose).opt_outs) == [this]
    desk(OPT_IN, application=BANK, purpose=purpose)
    assert desk(LOOK_UP, purpose=purpose).allowed
    assert desk.refused(OPT_IN) == ("NOT_FOUND", [])


NOT_THERE = [
    WITHDRAW,
    OPT_IN,
    pb.GiveConsentRequest(phone_number=NUMBER, application=NOWHERE, purpose=FRAUD, scopes=[VERIFY], evidence="x"),
    pb.LookUpConsentRequest(phone_number=NUMBER, application=NOWHERE, purpose=FRAUD, scopes=[VERIFY]),
    pb.OptOutRequest(phone_number=NUMBER, application=NOWHERE),
]


@pytest.mark.parametrize("asked", NOT_THERE, ids=lambda asked: type(asked).__name__)
def test_what_is_not_there(desk: Desk, asked: Message) -> None:
    assert desk.refused(asked) == ("NOT_FOUND", [])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"phone_number": ""}, "phoneNumber"),
        ({"phone_number": NUMBER[1:]}, "phoneNumber"),
        ({"phone_number": f"{NUMBER}\n"}, "phoneNumber"),
        ({"phone_number": "+" + "9" * 16}, "phoneNumber"),
        ({"application": ""}, "application"),
        ({"application": "organizations/-/applications/x"}, "application"),
        ({"application": f"{BANK}\x00"}, "application"),
        ({"purpose": ""}, "purpose"),
        ({"purpose": ADS}, "purpose"),
        ({"purpose": "dpv:" + "A" * 65}, "purpose"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["openid"]}, "scopes"),
        ({"scopes": [VERIFY, "something:else"]}, "scopes"),
        ({"scopes": ["a b"]}, "scopes"),
        ({"scopes": [VERIFY] * 101}, "scopes"),
        ({"evidence": ""}, "evidence"),
        ({"evidence": "x" * 1001}, "evidence"),
        ({"evidence": "two\nlines"}, "evidence"),
        ({"evidence": "a\x00b"}, "evidence"),
        ({"evidence": f"called from {NUMBER}"}, "evidence"),
        ({"evidence": "called from 990-555 000.001"}, "evidence"),
        ({"evidence": "called from 0555 000001"}, "evidence"),
        ({"evidence": "called from ٩٩٠٥٥٥٠٠٠٠٠١"}, "evidence"),
        ({"evidence": "called from ９９０５５５０００００１"}, "evidence"),
        ({"request_id": "no-uuid"}, "requestId"),
        ({"request_id": REQUEST.upper()}, "requestId"),
        ({"expire_time": {"seconds": 1}}, "expireTime"),
        ({"expire_time": {"seconds": 0}}, "expireTime"),
        ({"expire_time": {"seconds": -(2**63)}}, "expireTime"),
        ({"expire_time": {"seconds": 2**63 - 1, "nanos": 2**31 - 1}}, "expireTime"),
        ({"expire_time": {"seconds": 253_402_300_800}}, "expireTime"),
    ],
)
def test_consent_that_breaks_a_rule(desk: Desk, changes: dict[str, Any], field: str) -> None:
    assert desk.refused(GIVE, **changes) == ("INVALID_ARGUMENT", [field])
    assert list(desk(LIST).approvals) == []


@pytest.mark.parametrize(
    "changes", [{"evidence": "x" * 1000}, {"evidence": "Zustimmung „ja“ 👍"}, {"scopes": [VERIFY, READ]}]
)
def test_consent_at_the_bounds(desk: Desk, changes: dict[str, Any]) -> None:
    desk(GIVE, **changes)
    [approval] = desk(LIST).approvals
    assert approval.evidence == changes.get("evidence", GIVE.evidence)


def test_the_same_request_gets_the_first_answer_twice(desk: Desk) -> None:
    first = desk(GIVE, request_id=REQUEST)
    desk(WITHDRAW)
    assert desk(GIVE, request_id=REQUEST) == first
    assert desk(LOOK_UP).refusal_reason == "consent_withdrawn"


def test_a_request_id_is_for_one_request_of_one_caller(desk: Desk, channel: grpc.Channel) -> None:
    given = pb.GiveConsentRequest()
    given.CopyFrom(GIVE)
    given.request_id = REQUEST
    desk(given)
    assert desk.refused(given, evidence="something else") == ("INVALID_ARGUMENT", ["requestId"])
    assert desk.refused(WITHDRAW, request_id=REQUEST) == ("INVALID_ARGUMENT", ["requestId"])
    assert len(desk(LIST).approvals) == 1
    Desk(channel, "shop")(given)
    assert [each.recorded_by for each in desk(LIST).approvals] == ["desk", "shop"]


def test_all_that_is_on_record_page_by_page(desk: Desk) -> None:
    for request in (GIVE, OPT_OUT, WITHDRAW, OPT_IN, GIVE):
        desk(request)
    desk(GIVE, phone_number=OTHER_NUMBER)
    pages, token = [], ""
    while not pages or token:
        page = desk(pb.ListApprovalsRequest(phone_number=NUMBER, page_size=2, page_token=token))
        token = page.next_page_token
        pages.append(list(page.approvals))
    assert list(map(len, pages)) == [2, 2, 1]
    approvals = [each for page in pages for each in page]
    assert approvals == list(desk(LIST).approvals)
    assert [each.action for each in approvals] == [
        pb.APPROVAL_ACTION_GIVEN,
        pb.APPROVAL_ACTION_OPTED_OUT,
        pb.APPROVAL_ACTION_WITHDRAWN,
        pb.APPROVAL_ACTION_OPTED_IN,
        pb.APPROVAL_ACTION_GIVEN,
    ]
    assert [each.evidence for each in approvals] == [GIVE.evidence, "", WITHDRAW.evidence, "", GIVE.evidence]
    assert [each.current for each in approvals] == [False] * 4 + [True]
    assert list(desk(LIST, current_only=True).approvals) == approvals[4:]
    assert {each.recorded_by for each in approvals} == {"desk"}


def test_pages_that_cannot_be_had(desk: Desk) -> None:
    assert desk.refused(LIST, page_size=1001) == ("INVALID_ARGUMENT", ["pageSize"])
    for forged in ("x", "-1", "1" * 19, "١"):
        assert desk.refused(LIST, page_token=forged) == ("INVALID_ARGUMENT", ["pageToken"])
    assert list(desk(LIST, page_token="9" * 18, page_size=1000).approvals) == []


def test_numbers_are_in_bodies_only() -> None:
    routes = [route for route in ROUTES if route.rpc.startswith(f"/{SERVICE.full_name}/")]
    assert len(routes) == len(SERVICE.methods)
    assert all((route.http_method, route.body, route.internal) == ("POST", "*", True) for route in routes)
    assert not any(route.variables or route.query for route in routes)


def test_only_the_operator_calls() -> None:
    rule = AccessRule(
        Caller.INTERNAL_SERVICE, frozenset(), OriginNeed.NONE, frozenset({"operator-staff", "consent-manager"})
    )
    assert {ACCESS_RULES[f"/{SERVICE.full_name}/{method.name}"] for method in SERVICE.methods} == {rule}
