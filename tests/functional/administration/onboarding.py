"""The real servicers of onboarding and consent on a real database, and one caller: staff."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from grpc_interceptor import ServerInterceptor

from functional.serving import free_ports
from number_verification.administration.resources import SERVICE
from number_verification.administration.tree import CONSENT
from number_verification.domain import clock
from number_verification.domain.approving import Approving
from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.principal import OPERATOR_STAFF, Principal
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.grpc_server import GrpcServer
from number_verification.interceptors.call import current
from number_verification.interceptors.correlator import CorrelatorInterceptor
from number_verification.interceptors.refusals import ErrorsInterceptor
from number_verification.interceptors.validation import ValidationInterceptor
from number_verification.listener_settings import GrpcSettings, ListenAddress
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.database import open_database
from number_verification.registry.migration import migrate
from number_verification.registry.sql import SqlRegistry
from number_verification.registry.subscriber_hash import subscriber_hash
from number_verification.registry.usage import SqlUsage
from number_verification.services.consent import ConsentServicer
from number_verification.services.handlers import methods
from number_verification.services.onboarding import OnboardingServicer
from number_verification.services.page_tokens import PageTokens
from unit.client.provider import ACCESS_TOKEN
from unit.domain.onboarding.world import rules


class StaffOnly(ServerInterceptor):
    """Knows the one token that the authorization server of these tests gives."""

    def __init__(self) -> None:
        self.lost: set[str] = set()
        """Methods whose next answer gets lost on its way."""

    def intercept(
        self, method: Callable[..., Any], request_or_iterator: Any, context: grpc.ServicerContext, method_name: str
    ) -> Any:
        call = current.get()
        if call.authorizations != [f"Bearer {ACCESS_TOKEN}"]:
            raise Refusal(Kind.UNAUTHENTICATED, Reason.CALLER_UNKNOWN)
        call.principal = Principal("staff", frozenset({OPERATOR_STAFF}))
        call.caller = call.principal.name
        answer = method(request_or_iterator, context)
        name = method_name.rpartition("/")[2]
        if name in self.lost:
            self.lost.remove(name)
            raise Refusal(Kind.UNAVAILABLE, Reason.OVERLOAD)
        return answer


class Onboarding:
    """A running listener."""

    def __init__(self, address: str, staff: StaffOnly) -> None:
        self.address = address
        self.lost = staff.lost


@contextmanager
def running_onboarding(directory: Path) -> Iterator[Onboarding]:
    """The listener on a free port, over an empty registry."""
    engine = open_database(f"sqlite:///{directory / 'registry.db'}")
    migrate(engine)
    registry = SqlRegistry(engine)

    def registered(name: str) -> RegisteredApplication | None:
        with registry.reading() as reading:
            return reading.find(RegisteredApplication, name)

    servicer = OnboardingServicer(registry, rules(), SqlUsage(engine), PageTokens(os.urandom(32)), clock.now)
    consent = ConsentServicer(
        Approving(SqlApprovalRecords(engine, clock.now), registered, subscriber_hash(b"k" * 32), clock.now)
    )
    served = [*methods(SERVICE, servicer), *methods(CONSENT, consent)]
    staff = StaffOnly()
    interceptors = (CorrelatorInterceptor(), ErrorsInterceptor(), staff, ValidationInterceptor())
    [port] = free_ports(1)
    address = ListenAddress(host="127.0.0.1", port=port)
    server = GrpcServer(GrpcSettings(listen=address), address, served, interceptors)
    server.start()
    try:
        yield Onboarding(str(address), staff)
    finally:
        server.drain(0)
        registry.close()
