"""(g) The snapshot of the registry: what it takes to load and to keep, and what a call pays for it."""

import json
import multiprocessing
import multiprocessing.connection
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from joserfc.jwk import ECKey

from bench.context import Context
from bench.measure import Sample, in_turn, microseconds, rate, running_on, spread
from bench.report import Report, Row, at_most, of, thousands
from number_verification.domain import clock
from number_verification.domain.access import AccessCheck, Authenticated
from number_verification.domain.application import LegalBasis, Limits
from number_verification.domain.attribution import AttributionPolicy
from number_verification.domain.grant import AccessGrant, AuthenticationMethod, SessionAnchor
from number_verification.domain.onboarding.application import ApplicationState, RegisteredApplication
from number_verification.domain.onboarding.entity import Entity
from number_verification.domain.onboarding.organization import Organization, OrganizationKind
from number_verification.domain.onboarding.product import Plan, Product
from number_verification.domain.onboarding.subscription import Subscription, SubscriptionState
from number_verification.domain.session import Ipv4Address, SessionKey, Subscriber
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.approvals import SqlApprovals
from number_verification.registry.database import open_database
from number_verification.registry.migration import migrate
from number_verification.registry.recent_endings import RecentEndings
from number_verification.registry.snapshot import Snapshot
from number_verification.registry.sql import SqlRegistry

APPLICATIONS, PER_CUSTOMER = 10_000, 5
PURPOSE, VERIFY = "dpv:FraudPreventionAndDetection", "number-verification:verify"
_SCOPES = frozenset({VERIFY, "number-verification:device-phone-number:read"})
_CAPTION = (
    f"{thousands(APPLICATIONS)} applications, each with a key of its own, {PER_CUSTOMER} to a customer with a "
    "subscription, in SQLite. Loaded by a fresh process; what it takes to keep is what the process has grown by, "
    "everything that is derived lazily included. The access check is all that a call does once its token was redeemed: "
    "the application looked up, whether its subscriber took anything back, standing, scopes and purpose; of another "
    "application at every turn, on a snapshot and a memory of withdrawals that threads keep fresh meanwhile. The "
    "look-up is its part of it."
)


def measure(context: Context) -> list[Report]:
    """Loading and looking up."""
    url = f"sqlite:///{context.directory / 'registry.db'}"
    _fill(url)
    with running_on(context.cores.server):
        loads = [_in_a_fresh_process(url) for _ in range(context.rounds)]
        checked = _checks(url, context)
    seconds, megabytes = spread([load[0] for load in loads]), spread([load[1] for load in loads])
    check = microseconds(checked["check"])
    return [
        Report(
            "(g) Who is served: the snapshot of the registry",
            "",
            [
                Row("to load, seconds", of(seconds, 2), reach=at_most(seconds.median, 1, "{} s")),
                Row("to keep, MB", of(megabytes, 1), reach=at_most(megabytes.median, 50, "{} MB")),
                Row(
                    "the access check of a call, CPU µs",
                    of(check, 2),
                    thousands(rate(checked["check"]).median),
                    "the look-up alone",
                    of(microseconds(checked["find"]), 2),
                    reach=at_most(check.median, 5, "{} µs"),
                ),
            ],
            _CAPTION,
        )
    ]


def _fill(url: str) -> None:
    engine = open_database(url)
    migrate(engine)
    registry = SqlRegistry(engine)
    entities = iter(_entities())
    while batch := list(islice(entities, 1000)):
        with registry.writing() as writing:
            for entity in batch:
                writing.add(entity, clock.now())
    registry.close()


def _entities() -> Iterable[Entity]:
    yield Product(
        name="products/number-verification",
        display_name="Number Verification",
        operations=(),
        scopes=_SCOPES,
        purposes=frozenset({PURPOSE}),
        plans=(Plan("basic", "Basic", Limits(rate=10, burst=100)),),
    )
    key = ECKey.generate_key("P-256").as_dict(private=False)
    for number in range(APPLICATIONS):
        customer = f"organizations/customer-{number // PER_CUSTOMER}"
        if number % PER_CUSTOMER == 0:
            yield Organization(name=customer, kind=OrganizationKind.CUSTOMER, display_name=f"Customer {number}")
            yield Subscription(
                name=f"{customer}/subscriptions/nv",
                product="products/number-verification",
                plan="basic",
                state=SubscriptionState.ACTIVE,
            )
        yield RegisteredApplication(
            name=f"{customer}/applications/app-{number}",
            display_name=f"The application {number}",
            client_id=_client_id(number),
            jwks={"keys": [{**key, "kid": f"key-{number}", "use": "sig", "alg": "ES256"}]},
            redirect_uris=frozenset({f"https://app-{number}.example/callback", f"https://app-{number}.example/other"}),
            scopes=_SCOPES | {"openid"},
            purposes={PURPOSE: LegalBasis.CONSENT},
            state=ApplicationState.ACTIVE,
        )


def _client_id(number: int) -> str:
    return f"client-of-the-bench-{number:08d}"


def _in_a_fresh_process(url: str) -> tuple[float, float]:
    """Seconds to load, and megabytes by which the process grew."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_load, args=(url, sending))
    process.start()
    seconds, grown = json.loads(receiving.recv())
    process.join()
    return seconds, grown


def _load(url: str, sending: multiprocessing.connection.Connection) -> None:
    registry = SqlRegistry(open_database(url))
    registry.change()  # what the first query of a process takes is not the snapshot's
    before, started = _resident(), time.perf_counter()
    snapshot = Snapshot(registry)
    snapshot.refresh()
    seconds = time.perf_counter() - started
    found = sum(snapshot.find(_client_id(number)) is not None for number in range(APPLICATIONS))
    if found != APPLICATIONS:
        raise RuntimeError("not everything was loaded")
    sending.send(json.dumps([seconds, (_resident() - before) / 1e6]))


def _resident() -> int:
    """Bytes of memory that this process holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say how much memory is held")


def _checks(url: str, context: Context) -> dict[str, list[Sample]]:
    engine = open_database(url)
    registry, records = SqlRegistry(engine), SqlApprovalRecords(engine, clock.now)
    snapshot = Snapshot(registry)
    recent = RecentEndings(records, clock=clock.now, poll_interval=0.2, stale_after=30)
    recent.poll()
    snapshot.start()
    recent.start()
    access = AccessCheck(
        _nobody,
        snapshot,
        SqlApprovals(records, recent, str.encode),
        None,  # type: ignore[arg-type] - whose session it is was looked up when the token was redeemed
        AttributionPolicy(frozenset()),
        clock.now,
    )
    times = context.requests * 4
    try:
        for number in range(APPLICATIONS):
            snapshot.find(_client_id(number))
        return in_turn(
            context.rounds,
            {"check": lambda: _check(access, snapshot, times), "find": lambda: _find(snapshot, times)},
        )
    finally:
        snapshot.stop()
        recent.stop()
        records.close()
        registry.close()


_SUBSCRIBER = Subscriber("", "+990100000001")


def _nobody(_: str) -> AccessGrant:
    raise AssertionError("no token is redeemed here")


def _grants(times: int) -> Iterator[AccessGrant]:
    now = clock.now()
    # Of our own: approval was looked up when the token was issued.
    anchor = SessionAnchor(SessionKey("gateway", "1"), now, _SUBSCRIBER, Ipv4Address("", bytes(4)))
    for index in range(times):
        yield AccessGrant(
            _client_id(index * 7919 % APPLICATIONS),
            _SCOPES | {PURPOSE},
            PURPOSE,
            AuthenticationMethod.NETWORK,
            now,
            now,
            now + 300_000,
            anchor,
            application="organizations/bank/applications/app",
        )


def _check(access: AccessCheck, snapshot: Snapshot, times: int) -> Sample:
    grants, scopes = list(_grants(times)), frozenset({VERIFY})
    started, cpu = time.perf_counter(), time.process_time()
    for grant in grants:
        access.authorize(Authenticated(grant, _SUBSCRIBER, snapshot.find(grant.client_id)), scopes)
    return Sample(times, time.perf_counter() - started, time.process_time() - cpu)


def _find(snapshot: Snapshot, times: int) -> Sample:
    wanted = [grant.client_id for grant in _grants(times)]
    started, cpu = time.perf_counter(), time.process_time()
    for client_id in wanted:
        snapshot.find(client_id)
    return Sample(times, time.perf_counter() - started, time.process_time() - cpu)
