"""A store without room: the service says so, acknowledges nothing, and records nothing by halves."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from pyrad.client import Timeout

from functional.authorization import OAuthClient
from functional.gateway import Attachment, Gateway
from functional.load import wait_until
from functional.serving import SERVICE_TOKEN, Setup, running_service, start_service
from functional.transports import Grpc, Rest
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as pb
from number_verification.sessions.lmdb import LmdbSessionStore

INTERNAL = "/subscribersession.v1.SubscriberSessionService"
METADATA = (("authorization", f"Bearer {SERVICE_TOKEN}"),)
DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")


class Core:
    """A service of the operator that feeds and reads sessions."""

    def __init__(self, address: str) -> None:
        self.channel = grpc.insecure_channel(address)

    def feed(self, events: Iterator[pb.FeedEventsRequest]) -> int:
        call = self.channel.stream_unary(
            f"{INTERNAL}/FeedEvents", pb.FeedEventsRequest.SerializeToString, pb.FeedEventsResponse.FromString
        )
        recorded: int = call(events, metadata=METADATA, timeout=30).recorded
        return recorded

    def session_ids(self, nas: str) -> list[str]:
        call = self.channel.unary_unary(
            f"{INTERNAL}/ListSessions", pb.ListSessionsRequest.SerializeToString, pb.ListSessionsResponse.FromString
        )
        found: list[str] = []
        token = ""
        while True:
            page = call(
                pb.ListSessionsRequest(nas=nas, page_size=1000, page_token=token), metadata=METADATA, timeout=10
            )
            found += [session.key.session_id for session in page.sessions]
            token = page.next_page_token
            if not token:
                return found


def opened(number: int) -> pb.FeedEventsRequest:
    attributes = pb.SessionAttributes(
        phone_number=f"+9907{number:08d}",
        imsi=f"99999{number:010d}",
        ipv4_address=f"127.{128 + number // 65536}.{number // 256 % 256}.{number % 256}",
        apn="internet",
        rat_type=6,
    )
    key = pb.SessionKey(nas="fed", session_id=f"{number:08d}-{'x' * 200}")
    return pb.FeedEventsRequest(opened=pb.SessionEvent(key=key, attributes=attributes))


@pytest.fixture
def small(tmp_path: Path) -> Setup:
    setup = Setup(tmp_path / "data")
    setup.content["store"] = {"session_megabytes": 1, "one_time_megabytes": 1}
    return setup


def test_no_room_for_sessions(tmp_path: Path, small: Setup) -> None:
    with running_service(tmp_path, small) as service:
        gateway, core = Gateway(service), Core(small.internal)
        gateway.start(DEVICE)
        acknowledged = fill(core, 0, batch=100)
        # Batches are recorded as a whole or not at all.
        stored = core.session_ids("fed")
        assert len(stored) == acknowledged > 0
        assert acknowledged % 100 == 0

        # What room is left is taken one session at a time, by both feeds.
        fill(core, acknowledged)
        answered = report_until_unanswered(gateway)
        assert set(answered) <= set(core.session_ids("loopback/test-gateway"))
        fill(core, acknowledged + 100_000)
        assert service.admin("/healthz").status == 200
        wait_until(lambda: service.admin("/readyz").status == 503)
        assert "session_store" in service.admin("/readyz").json["failing"]
        said = [line for line in service.log if "map is full" in str(line)]
        assert said, "the log does not say so"
        # What was recorded before is as good as ever.
        assert Rest(service).share(OAuthClient(service).token(DEVICE.address)).body == {
            "devicePhoneNumber": DEVICE.phone_number
        }
        stored = core.session_ids("")
    reopened = LmdbSessionStore(tmp_path / "data" / "sessions", 1 << 20)
    try:
        assert len(reopened.sessions(None, 100_000, None)) == len(stored)
    finally:
        reopened.close()


def fill(core: Core, first: int, batch: int = 1) -> int:
    """Feed sessions, so many at a time, until some are refused. Returns the number of the first that was."""
    while True:
        try:
            assert core.feed(map(opened, range(first, first + batch))) == batch
        except grpc.RpcError as refused:
            if refused.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return first
        first += batch


def report_until_unanswered(gateway: Gateway) -> list[str]:
    """Start sessions until one is not acknowledged. Returns those that were."""
    gateway.client.timeout, gateway.client.retries = 1, 1
    answered: list[str] = []
    while True:
        device = Attachment(f"127.3.{len(answered) // 250}.{len(answered) % 250}", "+990555000888", "999990555000888")
        try:
            gateway.start(device)
        except Timeout:
            return answered
        answered.append(device.session_id)


def test_more_room_and_all_is_well(tmp_path: Path, small: Setup) -> None:
    """What the message advises."""
    with running_service(tmp_path, small) as service:
        core = Core(small.internal)
        fill(core, 0, batch=100)
        service.kill()
    small.content["store"]["session_megabytes"] = 8
    with running_service(tmp_path, small) as service:
        Gateway(service).start(DEVICE)
        assert service.admin("/readyz").status == 200
        assert Rest(service).share(OAuthClient(service).token(DEVICE.address)).code == "OK"


def test_no_room_for_codes_and_tokens(tmp_path: Path, small: Setup) -> None:
    service = start_service(tmp_path, small)
    try:
        Gateway(service).start(DEVICE)
        oauth = OAuthClient(service)
        kept = oauth.token(DEVICE.address)
        answer = _until_refused(oauth)
        assert "temporarily_unavailable" in answer
        assert [line for line in service.log if "map is full" in str(line)]
        wait_until(lambda: service.admin("/readyz").status == 503)
        assert "one_time_store" in service.admin("/readyz").json["failing"]
        # A token that cannot be used up lets nobody in, and one that was used stays so.
        token = service.external_token()
        with Grpc(service) as by_grpc:
            codes = [by_grpc.share(token).code for _ in range(3)]
        assert codes.count("OK") <= 1
        assert set(codes) <= {"OK", "UNAUTHENTICATED", "UNAVAILABLE"}
        assert [Rest(service).share(kept).code for _ in range(2)] == ["OK", "UNAUTHENTICATED"]
    finally:
        service.finish()


def _until_refused(oauth: OAuthClient) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = oauth.authorize(DEVICE.address, nonce="n" * 500)
        if answer.status != 302:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            return answer.body.decode()
        if "code=" not in answer.headers["location"]:
            return answer.headers["location"]
    raise AssertionError("the store never got full")
