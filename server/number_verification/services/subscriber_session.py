"""`subscribersession.v1.SubscriberSessionService`, for services of the operator."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from itertools import islice

import grpc

from number_verification.domain.clock import Clock
from number_verification.domain.location import LocatedDevice
from number_verification.domain.origin import NetworkOrigin
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.domain.session import EventKind, SessionKey, SessionRecord
from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as pb
from number_verification.origin.address import parse_address
from number_verification.services.messages import EventReader, session_message
from number_verification.sessions.store import SessionStore

BATCH = 500
"""Events of a feed that are made durable together."""

DEFAULT_PAGE, MAX_PAGE = 100, 1000


class SubscriberSessionServicer:
    """Feeds and reads the session store."""

    def __init__(
        self,
        store: SessionStore,
        locate: Callable[[NetworkOrigin], LocatedDevice | Reason],
        events: EventReader,
        clock: Clock,
    ) -> None:
        self._store = store
        self._locate = locate
        self._events = events
        self._clock = clock

    def OpenSession(self, request: pb.OpenSessionRequest, _: grpc.ServicerContext) -> pb.OpenSessionResponse:  # noqa: N802
        """Record an opening."""
        self._record(EventKind.START, request.event)
        return pb.OpenSessionResponse()

    def RefreshSession(  # noqa: N802
        self, request: pb.RefreshSessionRequest, _: grpc.ServicerContext
    ) -> pb.RefreshSessionResponse:
        """Record a refresh."""
        self._record(EventKind.UPDATE, request.event)
        return pb.RefreshSessionResponse()

    def EndSession(self, request: pb.EndSessionRequest, _: grpc.ServicerContext) -> pb.EndSessionResponse:  # noqa: N802
        """Record an end."""
        self._record(EventKind.STOP, request.event)
        return pb.EndSessionResponse()

    def FeedEvents(  # noqa: N802
        self, requests: Iterator[pb.FeedEventsRequest], _: grpc.ServicerContext
    ) -> pb.FeedEventsResponse:
        """Record a stream of events, batch by batch; answer when all are durable (invariant 2)."""
        recorded = 0
        while batch := list(islice(requests, BATCH)):
            received = self._clock()
            self._store.record([self._events.feed_event(request, received) for request in batch], received)
            recorded += len(batch)
        return pb.FeedEventsResponse(recorded=recorded)

    def ResolveDevice(self, request: pb.ResolveDeviceRequest, _: grpc.ServicerContext) -> pb.ResolveDeviceResponse:  # noqa: N802
        """Tell who stands behind an address."""
        origin = parse_address(request.address)
        if origin is None:
            raise _invalid("address", "must be ip, ip:port or [v6]:port")
        device = self._locate(origin)
        if isinstance(device, Reason):
            return pb.ResolveDeviceResponse(refusal_reason=device.value)
        return pb.ResolveDeviceResponse(session=session_message(device.session.sessions[0]))

    def GetSession(self, request: pb.GetSessionRequest, _: grpc.ServicerContext) -> pb.GetSessionResponse:  # noqa: N802
        """Return one session."""
        session = self._store.session(SessionKey(request.key.nas, request.key.session_id))
        if session is None:
            raise Refusal(Kind.NOT_FOUND, Reason.NO_SUCH_SESSION)
        return pb.GetSessionResponse(session=session_message(session))

    def ListSessions(self, request: pb.ListSessionsRequest, _: grpc.ServicerContext) -> pb.ListSessionsResponse:  # noqa: N802
        """List sessions, page by page."""
        if request.page_size > MAX_PAGE:
            raise _invalid("pageSize", f"must be at most {MAX_PAGE}")
        size = request.page_size or DEFAULT_PAGE
        after = _key_of(request.page_token) if request.page_token else None
        sessions = self._store.sessions(after, size + 1, request.nas or None)
        page = sessions[:size]
        more = _page_token(page[-1]) if len(sessions) > size else ""
        return pb.ListSessionsResponse(sessions=map(session_message, page), next_page_token=more)

    def _record(self, kind: EventKind, event: pb.SessionEvent) -> None:
        received = self._clock()
        self._store.record([self._events.session_event(kind, event, received)], received)


def _page_token(last: SessionRecord) -> str:
    return base64.urlsafe_b64encode(json.dumps(last.key).encode()).decode()


def _key_of(page_token: str) -> SessionKey:
    try:
        nas, session_id = json.loads(base64.urlsafe_b64decode(page_token))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _invalid("pageToken", "is not one that was returned") from None
    if not (isinstance(nas, str) and isinstance(session_id, str)):
        raise _invalid("pageToken", "is not one that was returned")
    return SessionKey(nas, session_id)


def _invalid(field: str, description: str) -> Refusal:
    return Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[Violation(field, description)])
