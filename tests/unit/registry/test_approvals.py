"""User approval as the authorization server and the API ask for it, over a real database."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from conformance.databases import Databases, sqlite_databases
from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.domain.application import Application, Flow, LegalBasis
from number_verification.domain.approval import ALL
from number_verification.domain.approval_records import Action, Statement
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.domain.session import Subscriber
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.approvals import SqlApprovals
from number_verification.registry.database import open_database
from number_verification.registry.recent_endings import RecentEndings
from number_verification.registry.subscriber_hash import load_consent_key, subscriber_hash

NUMBER = "+990555000001"
ANNA = Subscriber("999990000000001", NUMBER)
BANK = "organizations/first-bank/applications/banking-app"
FRAUD = "dpv:FraudPreventionAndDetection"
VERIFY = "number-verification:verify"
SCOPES = frozenset({"openid", FRAUD, VERIFY})
NOW = 1_700_000_000_000

APPLICATION = Application(
    client_id="bank",
    name=BANK,
    customer="organizations/first-bank",
    channel_partner="",
    jwks={},
    jwks_uri="",
    redirect_uris=frozenset(),
    flows=frozenset({Flow.AUTHORIZATION_CODE}),
    scopes=SCOPES,
    legal_bases={},
)
HASHED = subscriber_hash(b"k" * 32)
GIVE = Statement(Action.GIVEN, HASHED(NUMBER), BANK, FRAUD, "desk", frozenset({VERIFY}))
WITHDRAW = Statement(Action.WITHDRAWN, HASHED(NUMBER), BANK, FRAUD, "desk")
OPT_OUT = Statement(Action.OPTED_OUT, HASHED(NUMBER), ALL, FRAUD, "desk")
OPT_IN = OPT_OUT._replace(action=Action.OPTED_IN)

STATES: dict[str, tuple[list[Statement], Reason | None, bool]] = {
    # What was said; what stands in the way where consent is the basis; whether the subscriber is opted out.
    "nothing": ([], Reason.CONSENT_MISSING, False),
    "given": ([GIVE], None, False),
    "given for something else": ([GIVE._replace(scopes=frozenset({"other"}))], Reason.CONSENT_MISSING, False),
    "expired": ([GIVE._replace(expires=NOW)], Reason.CONSENT_EXPIRED, False),
    "not yet expired": ([GIVE._replace(expires=NOW + 1)], None, False),
    "withdrawn": ([GIVE, WITHDRAW], Reason.CONSENT_WITHDRAWN, False),
    "given anew": ([GIVE, WITHDRAW, GIVE], None, False),
    "opted out": ([OPT_OUT], Reason.OPTED_OUT, True),
    "opted out, consent given": ([GIVE, OPT_OUT, GIVE], Reason.OPTED_OUT, True),
    "opted in": ([GIVE, OPT_OUT, OPT_IN], None, False),
}
OPT_OUT_COUNTS = {LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTEREST, LegalBasis.PUBLIC_INTEREST}


def based_on(basis: LegalBasis | None) -> Application:
    return replace(APPLICATION, legal_bases={FRAUD: basis} if basis else {})


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return sqlite_databases(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture
def engine(databases: Databases) -> Engine:
    return open_database(databases())


@pytest.fixture
def approvals(engine: Engine) -> Iterator[SqlApprovals]:
    records = SqlApprovalRecords(engine, lambda: NOW)
    recent = RecentEndings(records, clock=lambda: NOW, poll_interval=1, stale_after=30, monotonic=lambda: 0.0)
    recent.poll()
    yield SqlApprovals(records, recent, HASHED)
    records.close()


def say(approvals: SqlApprovals, statements: list[Statement]) -> None:
    for statement in statements:
        approvals.records.record(statement)
    approvals.recent.poll()


@pytest.mark.parametrize("basis", LegalBasis)
@pytest.mark.parametrize("state", STATES)
def test_what_is_on_record_decides(approvals: SqlApprovals, basis: LegalBasis, state: str) -> None:
    said, fault, opted_out = STATES[state]
    say(approvals, said)
    expected = None
    if opted_out and basis in OPT_OUT_COUNTS:
        expected = Reason.OPTED_OUT
    elif basis is LegalBasis.CONSENT:
        expected = fault
    assert approvals.objection(ANNA, based_on(basis), FRAUD, SCOPES, NOW) is expected
    stranger = Subscriber("999990000000002", "+990555000002")
    missing = Reason.CONSENT_MISSING if basis is LegalBasis.CONSENT else None
    assert approvals.objection(stranger, based_on(basis), FRAUD, SCOPES, NOW) is missing


@pytest.mark.parametrize("basis", [None, *LegalBasis])
@pytest.mark.parametrize("state", STATES)
def test_what_was_withdrawn_lately_ends_grants(approvals: SqlApprovals, basis: LegalBasis | None, state: str) -> None:
    said, _, opted_out = STATES[state]
    say(approvals, said)
    application = based_on(basis)
    once_opted_out = OPT_OUT in said
    expected = None
    if once_opted_out and (basis is None or basis in OPT_OUT_COUNTS):
        expected = Reason.OPTED_OUT
    elif WITHDRAW in said and basis in (None, LegalBasis.CONSENT):
        expected = Reason.CONSENT_WITHDRAWN
    assert approvals.withdrawal(NUMBER, application, FRAUD, NOW - 1) is expected
    # What stands ends later ones, too; what was taken back does not.
    stands = opted_out if expected is Reason.OPTED_OUT else said[-1:] == [WITHDRAW]
    assert approvals.withdrawal(NUMBER, application, FRAUD, NOW) is (expected if stands else None)
    assert approvals.withdrawal("+990555000002", application, FRAUD, NOW) is None


def test_for_a_purpose_without_a_legal_basis_nothing_may_be_done(approvals: SqlApprovals) -> None:
    say(approvals, [GIVE])
    assert approvals.objection(ANNA, based_on(None), FRAUD, SCOPES, NOW) is Reason.PURPOSE_NOT_ALLOWED


@pytest.mark.parametrize("basis", LegalBasis)
def test_a_number_that_is_not_known_might_be_somebodys_who_objected(approvals: SqlApprovals, basis: LegalBasis) -> None:
    unknown = Reason.NUMBER_UNKNOWN if basis in OPT_OUT_COUNTS else None
    assert approvals.objection(Subscriber("999990000000001", ""), based_on(basis), FRAUD, SCOPES, NOW) is unknown
    assert approvals.withdrawal("", based_on(basis), FRAUD, NOW) is unknown


def test_stale_memory_refuses(engine: Engine) -> None:
    records = SqlApprovalRecords(engine, lambda: NOW)
    never_polled = RecentEndings(records, clock=lambda: NOW, poll_interval=1, stale_after=30)
    approvals = SqlApprovals(records, never_polled, HASHED)
    with pytest.raises(Refusal) as refused:
        approvals.withdrawal(NUMBER, based_on(LegalBasis.CONSENT), FRAUD, NOW)
    assert (refused.value.kind, refused.value.reason) == (Kind.UNAVAILABLE, Reason.STALE_REGISTRY)
    assert approvals.withdrawal(NUMBER, based_on(LegalBasis.CONTRACT), FRAUD, NOW) is None
    records.close()


def test_no_number_is_in_the_database(approvals: SqlApprovals, engine: Engine) -> None:
    say(approvals, [GIVE, WITHDRAW, OPT_OUT])
    database = Path(engine.url.database or "")
    files = [path.read_bytes() for path in database.parent.glob(f"{database.name}*")]
    assert any(HASHED(NUMBER) in content for content in files)
    assert not any(NUMBER[1:].encode() in content for content in files)


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    key = load_consent_key(tmp_path / "keys")
    assert load_consent_key(tmp_path / "keys") == key
    assert load_consent_key(tmp_path / "others") != key
    assert (tmp_path / "keys" / "consent-key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spoiled", [b"", b"short", b"k" * 33])
def test_a_key_of_another_length_is_not_used(tmp_path: Path, spoiled: bytes) -> None:
    path = tmp_path / "consent-key"
    path.write_bytes(spoiled)
    path.chmod(0o600)
    with pytest.raises(KeyFileUnusable):
        load_consent_key(tmp_path)


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    load_consent_key(tmp_path)
    (tmp_path / "consent-key").chmod(0o640)
    with pytest.raises(KeyFileUnusable):
        load_consent_key(tmp_path)


def test_hashes_tell_subscribers_and_keys_apart() -> None:
    assert HASHED(NUMBER) == HASHED(NUMBER)
    assert len({HASHED(NUMBER), HASHED("+990555000002"), subscriber_hash(b"l" * 32)(NUMBER)}) == 3
    assert len(HASHED(NUMBER)) == 16
