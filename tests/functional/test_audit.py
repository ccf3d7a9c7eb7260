"""The audit trail of a running service: every authorization, token and call, before the answer is out.

Seen to fail: with lines collected and written forty at a time, kill -9 loses some; with the fault swallowed, a call
that could not be recorded is answered.
"""

import hashlib
import json
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.load import load, wait_until
from functional.registered import CHANNEL_PARTNER, CUSTOMER
from functional.service import PURPOSE, Service, descendants
from functional.serving import SERVICE_TOKEN, Setup, running_service, start_service
from functional.transports import Grpc, Rest, grpc_refusal
from number_verification.gen.audit.v1 import audit_pb2 as pb

STAFF_TOKEN = "a-token-of-the-operators-staff"
DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")
GET = "/numberverification.v2.NumberVerificationService/GetDevicePhoneNumber"
APPLICATION = f"{CUSTOMER}/applications/app-0"


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    made = Setup(tmp_path / "data")
    digest = hashlib.sha256(STAFF_TOKEN.encode()).hexdigest()
    made.content["internal"]["services"].append(
        {"name": "auditor", "roles": ["operator-staff"], "token_sha256": digest}
    )
    return made


class Auditor:
    """Who looks."""

    def __init__(self, setup: Setup, token: str = STAFF_TOKEN) -> None:
        self._channel = grpc.insecure_channel(setup.internal, [("grpc.use_local_subchannel_pool", 1)])
        self._metadata = (("authorization", f"Bearer {token}"),)

    def _call(self, method: str, request: Any, response: Any) -> Any:
        stub = self._channel.unary_unary(
            f"/audit.v1.AuditService/{method}", type(request).SerializeToString, response.FromString
        )
        return stub(request, metadata=self._metadata, timeout=20)

    def page(self, **wanted: Any) -> pb.ListAuditRecordsResponse:
        answer: pb.ListAuditRecordsResponse = self._call(
            "ListAuditRecords", pb.ListAuditRecordsRequest(**wanted), pb.ListAuditRecordsResponse
        )
        return answer

    def records(self, **wanted: Any) -> list[pb.AuditRecord]:
        found: list[pb.AuditRecord] = []
        token = ""
        while True:
            page = self.page(page_size=1000, page_token=token, **wanted)
            found += page.records
            token = page.next_page_token
            if not token:
                return found

    def verify(self) -> pb.VerifyAuditResponse:
        answer: pb.VerifyAuditResponse = self._call("VerifyAudit", pb.VerifyAuditRequest(), pb.VerifyAuditResponse)
        return answer


def test_the_whole_way_is_on_record(tmp_path: Path, setup: Setup) -> None:
    with running_service(tmp_path, setup) as service:
        Gateway(service).start(DEVICE)
        oauth, auditor = OAuthClient(service), Auditor(setup)
        with Grpc(service) as by_grpc, Rest(service) as by_rest:
            for transport in (by_grpc, by_rest):
                token = oauth.token(DEVICE.address)
                mine = [("x-correlator", f"of-{transport.name}")]
                assert transport.share(token, mine).code == "OK"
                assert transport.share(token, mine).code == "UNAUTHENTICATED"
                (done, again) = [r for r in auditor.records() if r.correlator == f"of-{transport.name}"]
                assert (done.outcome, done.reason, done.transport) == ("OK", "", transport.name)
                assert (again.outcome, again.reason) == ("UNAUTHENTICATED", "token_unknown")
                assert done.kind == again.kind == pb.AUDIT_KIND_CALL
                assert done.operation == again.operation == GET
                assert (done.client_id, done.application, done.customer) == ("client-0", APPLICATION, CUSTOMER)
                assert (done.method, done.purpose) == ("nba", PURPOSE)
                assert done.masked_phone_number == "+990*******77"
        refused = oauth.authorize("127.9.0.1")
        assert "access_denied" in refused.headers["location"]

        authorizations = auditor.records(kind=pb.AUDIT_KIND_AUTHORIZATION)
        assert [(r.outcome, r.reason, r.masked_phone_number) for r in authorizations] == [
            ("OK", "", "+990*******77"),
            ("OK", "", "+990*******77"),
            ("access_denied", "off_net", ""),
        ]
        tokens = auditor.records(kind=pb.AUDIT_KIND_TOKEN)
        assert [(r.outcome, r.operation, r.application, r.method) for r in tokens] == [
            ("OK", "token", APPLICATION, "nba")
        ] * 2
        of_the_subscriber = auditor.records(phone_number=DEVICE.phone_number)
        assert len(of_the_subscriber) == 6
        assert len({record.phone_number_hash for record in of_the_subscriber}) == 1
        assert auditor.records(phone_number="+990555999999") == []
        # Whoever looks is on record, too.
        assert auditor.records(outcome="OK")[-1].principal == "auditor"
        times = [record.time.ToNanoseconds() for record in auditor.records()]
        assert times == sorted(times)

        wait_until(lambda: auditor.verify().sealed_record_count > 10)
        found = auditor.verify()
        assert (list(found.findings), found.tampering_count) == ([], 0)
        assert found.latest_seal > 0
        assert len(found.latest_seal_digest) == 64

        (line,) = [line for line in service.log if line.get("correlator") == "of-grpc" and line["code"] == "OK"]
        assert (line["application"], line["customer"], line["channel_partner"]) == (
            APPLICATION,
            CUSTOMER,
            CHANNEL_PARTNER,
        )
        metrics = service.admin("/metrics").body.decode()
        assert (
            f'number_verification_application_calls_total{{application="{APPLICATION}",channel_partner="{CHANNEL_PARTNER}",code="OK",'
            f'customer="{CUSTOMER}",operation="{GET}"}} 2.0' in metrics
        )
    trail = list((tmp_path / "data" / "audit").rglob("*"))
    assert any(path.suffix == ".jws" for path in trail)
    for path in filter(Path.is_file, trail):
        assert DEVICE.phone_number[1:].encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o600


def test_who_may_look(tmp_path: Path, setup: Setup) -> None:
    with running_service(tmp_path, setup):
        for token, code in ((SERVICE_TOKEN, "PERMISSION_DENIED"), ("nobody's", "UNAUTHENTICATED")):
            for look in (Auditor(setup, token).page, Auditor(setup, token).verify):
                with pytest.raises(grpc.RpcError) as refused:
                    look()
                assert grpc_refusal(refused.value).code == code


BAD: list[dict[str, Any]] = [
    {"page_size": 1001},
    {"page_token": "x"},
    {"page_token": "e30="},
    {"phone_number": "990555000001"},
    {"phone_number": "+990555000001\n"},
    {"kind": 77},
    {"start_time": {"seconds": -1}},
    {"end_time": {"seconds": 2**62}},
    {"application": "x" * 155},
    {"outcome": "x" * 129},
]


def test_what_nobody_can_look_for(tmp_path: Path, setup: Setup) -> None:
    with running_service(tmp_path, setup):
        auditor = Auditor(setup)
        for wanted in BAD:
            with pytest.raises(grpc.RpcError) as refused:
                auditor.page(**wanted)
            assert grpc_refusal(refused.value).code == "INVALID_ARGUMENT"


@contextmanager
def no_room(service: Service) -> Iterator[None]:
    """No file of these processes may grow beyond what the audit trail has reached: a disk that is full to them.

    The one-time store is written through a map, to room that it took before; the log is shorter than the trail.
    """
    processes = [pid for pid in descendants(service.process.pid) if pid in _writers(service)]
    size = max(path.stat().st_size for path in (service.data_dir / "data" / "audit").rglob("*.jsonl"))
    assert size > service.log_path.stat().st_size + 10_000
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for pid in processes:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        for pid in processes:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


def _writers(service: Service) -> set[int]:
    """The processes that have segments."""
    return {int(path.name.split("-")[1]) for path in (service.data_dir / "data" / "audit").rglob("*.jsonl")}


def test_what_cannot_be_recorded_is_not_answered(tmp_path: Path, setup: Setup) -> None:
    with running_service(tmp_path, setup) as service:
        Gateway(service).start(DEVICE)
        oauth, auditor = OAuthClient(service), Auditor(setup)
        with Grpc(service) as by_grpc, Rest(service) as by_rest:
            for _ in range(120):
                by_rest.share("x" * 43)
            tokens = [oauth.token(DEVICE.address) for _ in range(4)]
            code = oauth.code(DEVICE.address)
            with no_room(service):
                for transport, token in ((by_grpc, tokens[0]), (by_rest, tokens[1])):
                    outcome = transport.share(token)
                    assert (outcome.code, outcome.retry_after) == ("UNAVAILABLE", "1")
                    # A refusal stays the refusal that it is.
                    assert transport.share("x" * 43).code == "UNAUTHENTICATED"
                redirected = oauth.callback(DEVICE.address)
                assert redirected["error"] == "temporarily_unavailable"
                assert "code" not in redirected
                answer = oauth.redeem(code)
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert answer.json["error"] == "temporarily_unavailable"
                assert "access_token" not in answer.json
                wait_until(lambda: any(line["event"] == "audit_unavailable" for line in service.log))
                assert "audit_unavailable" in {line.get("reason") for line in service.log}
            # There is room again. What was used up stays so.
            assert by_grpc.share(tokens[0]).code == "UNAUTHENTICATED"
            assert by_grpc.share(tokens[2]).code == "OK"
            assert by_rest.share(oauth.token(DEVICE.address)).code == "OK"
        found = auditor.verify()
        assert (list(found.findings), found.tampering_count) == ([], 0)


def test_kill_9_of_everything_loses_no_record_of_an_answer(tmp_path: Path, setup: Setup) -> None:
    setup.content["workers"] = 2
    service = start_service(tmp_path, setup)
    answered: list[str] = []
    try:
        Gateway(service).start(Attachment("127.1.0.1", "+990555000778", "999990555000778"))

        def call_until_killed() -> None:
            with Grpc(service) as api:
                while True:
                    mine = f"call-{threading.get_ident()}-{os.urandom(8).hex()}"
                    outcome = api.share("x" * 43, [("x-correlator", mine)])
                    if outcome.correlator != mine:
                        return
                    answered.append(mine)

        with load(service) as running:
            callers = [threading.Thread(target=call_until_killed) for _ in range(3)]
            for caller in callers:
                caller.start()
            wait_until(lambda: len(running.used_tokens) > 40 and len(answered) > 300)
            service.kill()
        for caller in callers:
            caller.join(20)
        service = start_service(tmp_path, setup)
        auditor = Auditor(setup)
        records = auditor.records()
        assert set(answered) <= {record.correlator for record in records}
        served = [r for r in records if r.kind == pb.AUDIT_KIND_CALL and r.outcome == "OK" and r.application]
        assert len(served) >= len(running.used_tokens)
        assert len([r for r in records if r.kind == pb.AUDIT_KIND_TOKEN and r.outcome == "OK"]) >= len(
            running.used_codes
        )
        wait_until(lambda: auditor.verify().sealed_record_count >= len(records))
        assert auditor.verify().tampering_count == 0
        segment = next((tmp_path / "data" / "audit").rglob("*.jsonl"))
        content = segment.read_bytes()
        segment.write_bytes(content.replace(b'"outcome":"', b'"outcome":"X', 1))
        (finding,) = auditor.verify().findings
        assert (finding.kind, finding.is_tampering) == ("line_changed", True)
        assert json.loads(content.splitlines()[finding.line])["seq"] == finding.line
    finally:
        service.finish()


def test_workers_that_are_killed_right_after_their_answers(tmp_path: Path, setup: Setup) -> None:
    """The service goes on, and what its dead workers wrote last is sealed like all the rest."""
    setup.content["workers"] = 2
    with running_service(tmp_path, setup) as service:
        Gateway(service).start(Attachment("127.1.0.1", "+990555000778", "999990555000778"))
        auditor = Auditor(setup)
        with load(service) as running:
            wait_until(lambda: len(running.used_tokens) > 10)
            for pid in set(descendants(service.process.pid)) & _writers(service):
                os.kill(pid, signal.SIGKILL)
            killed = len(running.used_tokens)
            # Those that the supervisor started in their place.
            wait_until(lambda: len(running.used_tokens) > killed + 10)
        records = auditor.records(kind=pb.AUDIT_KIND_CALL, outcome="OK")
        assert len([record for record in records if record.client_id]) >= len(running.used_tokens)
        wait_until(lambda: auditor.verify().sealed_record_count >= len(records))
        found = auditor.verify()
        assert (list(found.findings), found.tampering_count) == ([], 0)
