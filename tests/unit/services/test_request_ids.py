"""The same request, sent again, gets the first answer; two who read the same do not undo each other's change."""

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest

from conformance.databases import Databases, open_registry, postgresql_databases, sqlite_databases
from number_verification.domain.onboarding.principal import OPERATOR_STAFF, Principal
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.gen.onboarding.v1 import organizations_pb2 as pb
from number_verification.registry.sql import SqlRegistry
from number_verification.services.onboarding import OnboardingServicer
from unit.domain.onboarding.world import STAFF
from unit.services.onboarding import calling, servicer

SPAWN = multiprocessing.get_context("spawn")
WAIT_SECONDS = 30.0
CONTENDERS = 3
OTHER_STAFF = Principal("other-staff", frozenset({OPERATOR_STAFF}))
REQUEST_ID = "7b0c1b1e-0c5f-4a52-9a5d-6a2f0d6e3c11"


@pytest.fixture(params=["sqlite", "postgresql"], scope="module")
def databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    if request.param == "sqlite":
        return sqlite_databases(tmp_path_factory.mktemp("sqlite"))
    return postgresql_databases(request.getfixturevalue("postgresql"))


@pytest.fixture
def url(databases: Databases) -> str:
    return databases()


@pytest.fixture
def registry(url: str) -> Iterator[SqlRegistry]:
    opened = open_registry(url)
    yield opened
    opened.close()


@pytest.fixture
def service(registry: SqlRegistry) -> OnboardingServicer:
    return servicer(registry)


def creation(display_name: str = "Bank", request_id: str = REQUEST_ID, organization_id: str = "") -> Any:
    organization = pb.Organization(kind=pb.ORGANIZATION_KIND_CUSTOMER, display_name=display_name)
    return pb.CreateOrganizationRequest(
        organization=organization, organization_id=organization_id, request_id=request_id
    )


def ask(service: Any, method: str, request: Any, principal: Principal = STAFF) -> Any:
    with calling(principal):
        return getattr(service, method)(request, None)


def outcome(service: Any, method: str, request: Any) -> bytes | str:
    """The answer's bytes, or the reason of the refusal."""
    try:
        answer: bytes = ask(service, method, request).SerializeToString(deterministic=True)
    except Refusal as refusal:
        return refusal.reason.value
    return answer


def names(service: OnboardingServicer) -> list[str]:
    listed = ask(service, "ListOrganizations", pb.ListOrganizationsRequest())
    return [organization.name for organization in listed.organizations]


def test_the_same_request_gets_the_first_answer(service: OnboardingServicer) -> None:
    first = outcome(service, "CreateOrganization", creation())
    assert outcome(service, "CreateOrganization", creation()) == first
    assert len(names(service)) == 1


def test_the_first_answer_stays_whatever_happened_since(service: OnboardingServicer) -> None:
    first = ask(service, "CreateOrganization", creation())
    name = first.organization.name
    suspension = pb.SuspendOrganizationRequest(name=name, etag="1", request_id=REQUEST_ID[:-1] + "2")
    suspended = ask(service, "SuspendOrganization", suspension)
    ask(service, "ReinstateOrganization", pb.ReinstateOrganizationRequest(name=name))
    assert ask(service, "CreateOrganization", creation()) == first
    assert ask(service, "SuspendOrganization", suspension) == suspended
    now = ask(service, "GetOrganization", pb.GetOrganizationRequest(name=name)).organization
    assert (now.state, now.etag) == (pb.ORGANIZATION_STATE_ACTIVE, "3")


def test_an_update_is_done_once(service: OnboardingServicer) -> None:
    name = ask(service, "CreateOrganization", creation()).organization.name
    update = pb.UpdateOrganizationRequest(
        organization=pb.Organization(name=name, display_name="Other", etag="1"), request_id=REQUEST_ID[:-1] + "3"
    )
    assert ask(service, "UpdateOrganization", update) == ask(service, "UpdateOrganization", update)


@pytest.mark.parametrize(
    ("method", "other"),
    [
        ("CreateOrganization", creation("Other")),
        ("CreateOrganization", creation(organization_id="bank")),
        ("SuspendOrganization", pb.SuspendOrganizationRequest(name="organizations/bank", request_id=REQUEST_ID)),
    ],
)
def test_another_request_with_the_same_id_is_refused(service: OnboardingServicer, method: str, other: Any) -> None:
    ask(service, "CreateOrganization", creation())
    with pytest.raises(Refusal) as caught:
        ask(service, method, other)
    assert caught.value.kind is Kind.INVALID_ARGUMENT
    assert caught.value.violations[0].field == "requestId"
    assert len(names(service)) == 1


def test_the_ids_of_another_caller_are_others(service: OnboardingServicer) -> None:
    first = ask(service, "CreateOrganization", creation())
    second = ask(service, "CreateOrganization", creation(), OTHER_STAFF)
    assert first.organization.name != second.organization.name


def test_without_an_id_every_request_is_another(service: OnboardingServicer) -> None:
    ask(service, "CreateOrganization", creation(request_id=""))
    ask(service, "CreateOrganization", creation(request_id=""))
    assert len(names(service)) == 2


def test_a_refusal_is_not_kept(service: OnboardingServicer) -> None:
    suspend = pb.SuspendOrganizationRequest(name="organizations/bank", request_id=REQUEST_ID)
    assert outcome(service, "SuspendOrganization", suspend) == Reason.NO_SUCH_ENTITY
    ask(service, "CreateOrganization", creation(request_id="", organization_id="bank"))
    assert ask(service, "SuspendOrganization", suspend).organization.state == pb.ORGANIZATION_STATE_SUSPENDED


def test_what_fails_while_it_is_answered_leaves_nothing(
    service: OnboardingServicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("number_verification.services.onboarding.calls.answer", _break)
        with pytest.raises(ZeroDivisionError):
            ask(service, "CreateOrganization", creation())
    assert names(service) == []
    assert ask(service, "CreateOrganization", creation()).organization.etag == "1"


def _break(*_: object) -> None:
    raise ZeroDivisionError


def in_threads(url: str, requests: list[tuple[str, Any]]) -> list[bytes | str]:
    registry = open_registry(url)
    service, start = servicer(registry), threading.Barrier(len(requests))

    def contend(method: str, request: Any) -> bytes | str:
        start.wait(WAIT_SECONDS)
        return outcome(service, method, request)

    with ThreadPoolExecutor(len(requests)) as pool:
        outcomes = list(pool.map(contend, *zip(*requests, strict=True)))
    registry.close()
    return outcomes


def in_processes(url: str, requests: list[tuple[str, Any]]) -> list[bytes | str]:
    start = SPAWN.Barrier(len(requests))
    pipes, processes = [], []
    for number, (method, request) in enumerate(requests):
        receive, send = SPAWN.Pipe(duplex=False)
        process = SPAWN.Process(
            target=_contend, args=(url, number, method, request.SerializeToString(), start, send), daemon=True
        )
        process.start()
        send.close()
        pipes.append(receive)
        processes.append(process)
    try:
        outcomes = []
        for pipe in pipes:
            assert pipe.poll(WAIT_SECONDS), "a contender gave no result"
            outcomes.append(pipe.recv())
    finally:
        for process in processes:
            process.terminate()
            process.join()
    return outcomes


def _contend(url: str, number: int, method: str, content: bytes, start: Barrier, results: Connection) -> None:
    registry = open_registry(url)
    service = servicer(registry, prefix=f"p{number}-")
    request = getattr(pb, f"{method}Request").FromString(content)
    start.wait(WAIT_SECONDS)
    results.send(outcome(service, method, request))


Race = Callable[[str, list[tuple[str, Any]]], list[bytes | str]]


@pytest.mark.parametrize("race", [in_threads, in_processes])
def test_the_same_request_at_the_same_time_is_done_once(race: Race, url: str, service: OnboardingServicer) -> None:
    outcomes = race(url, [("CreateOrganization", creation())] * CONTENDERS)
    assert len(set(outcomes)) == 1
    assert names(service) == [pb.CreateOrganizationResponse.FromString(outcomes[0]).organization.name]  # type: ignore[arg-type]


@pytest.mark.parametrize("race", [in_threads, in_processes])
def test_of_those_who_read_the_same_exactly_one_changes_it(race: Race, url: str, service: OnboardingServicer) -> None:
    name = ask(service, "CreateOrganization", creation()).organization.name
    wanted = [pb.Organization(name=name, display_name=f"N{number}", etag="1") for number in range(CONTENDERS)]
    updates = [("UpdateOrganization", pb.UpdateOrganizationRequest(organization=each)) for each in wanted]
    outcomes = race(url, updates)
    (won,) = (answer for answer in outcomes if isinstance(answer, bytes))
    assert sorted(map(str, outcomes))[1:] == [Reason.STALE_ETAG] * (CONTENDERS - 1)
    now = ask(service, "GetOrganization", pb.GetOrganizationRequest(name=name)).organization
    assert pb.UpdateOrganizationResponse.FromString(won).organization == now
    assert now.etag == "2"


@pytest.mark.parametrize("race", [in_threads, in_processes])
def test_without_an_etag_everybody_writes_one_after_the_other(
    race: Race, url: str, service: OnboardingServicer
) -> None:
    name = ask(service, "CreateOrganization", creation()).organization.name
    steps: list[tuple[str, Any]] = [("SuspendOrganization", pb.SuspendOrganizationRequest(name=name))] * CONTENDERS
    outcomes = race(url, steps)
    assert sorted(map(str, outcomes))[1:] == [Reason.STATE_NOT_ALLOWED] * (CONTENDERS - 1)
