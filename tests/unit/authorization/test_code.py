"""Authorization codes: one use, at most 60 seconds, and what a second use does."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from number_verification.authorization import code as codes
from number_verification.authorization.code import Authorization
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.domain.grant import SessionAnchor
from number_verification.domain.session import Ipv4Address, SessionKey, Subscriber
from number_verification.onetime.lmdb import LmdbOneTimeStore

NOW: Milliseconds = 1_800_000_000_000
VERIFIER = "v" * 43
TOKEN_KEY = b"token:key"

AUTHORIZATION = Authorization(
    client_id="bank",
    redirect_uri="https://bank.example/callback",
    scopes=frozenset({"openid", "dpv:FraudPreventionAndDetection", "number-verification:verify"}),
    code_challenge=urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode(),
    nonce="n",
    authenticated_at=NOW,
    anchor=SessionAnchor(
        SessionKey("core/pgw", "1"),
        NOW - 1000,
        Subscriber("999990000000001", "+990555000001"),
        Ipv4Address("", b"abcd"),
    ),
)


class Time:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> Milliseconds:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(tmp_path: Path, time: Time) -> Iterator[LmdbOneTimeStore]:
    opened = LmdbOneTimeStore(tmp_path / "one-time", 1 << 20, time)
    yield opened
    opened.close()


def test_a_code_gives_back_what_it_stands_for(store: LmdbOneTimeStore) -> None:
    code = codes.issue(AUTHORIZATION, store, NOW)
    assert codes.take(code, store) == AUTHORIZATION


def test_an_ipv6_anchor(store: LmdbOneTimeStore) -> None:
    anchor = AUTHORIZATION.anchor._replace(address=bytes(range(16)))
    authorization = AUTHORIZATION._replace(anchor=anchor)
    assert codes.take(codes.issue(authorization, store, NOW), store) == authorization


def test_a_code_serves_once(store: LmdbOneTimeStore) -> None:
    code = codes.issue(AUTHORIZATION, store, NOW)
    assert codes.take(code, store) is not None
    assert codes.take(code, store) is None


@pytest.mark.parametrize(
    ("later", "good"), [(0, True), (59 * SECOND, True), (60 * SECOND, False), (61 * SECOND, False)]
)
def test_a_code_lives_for_sixty_seconds_at_most(
    store: LmdbOneTimeStore, time: Time, later: Milliseconds, good: bool
) -> None:
    code = codes.issue(AUTHORIZATION, store, NOW)
    time.now = NOW + later
    assert (codes.take(code, store) is not None) == good


def test_every_code_is_another(store: LmdbOneTimeStore) -> None:
    issued = {codes.issue(AUTHORIZATION, store, NOW) for _ in range(50)}
    assert len(issued) == 50
    assert all(len(code) == 43 for code in issued)


@pytest.mark.parametrize("code", ["", "x", "\ud800", "\x00", "c" * 100_000])
def test_what_was_never_issued(store: LmdbOneTimeStore, code: str) -> None:
    assert codes.take(code, store) is None


def test_the_repr_says_nothing_of_the_user() -> None:
    assert "+990555000001" not in repr(AUTHORIZATION)
    assert "999990000000001" not in repr(AUTHORIZATION)


@pytest.mark.parametrize("verifier", ["", "x", "w" * 43, VERIFIER + "v", AUTHORIZATION.code_challenge, "\xe9" * 43])
def test_only_the_verifier_proves_possession(verifier: str) -> None:
    assert codes.proves_possession(AUTHORIZATION, VERIFIER)
    assert not codes.proves_possession(AUTHORIZATION, verifier)


def test_a_second_use_after_the_token(store: LmdbOneTimeStore) -> None:
    assert codes.token_given("code", TOKEN_KEY, store, NOW + SECOND)
    assert codes.token_to_revoke("code", store, NOW + SECOND) == TOKEN_KEY
    assert codes.token_to_revoke("code", store, NOW + SECOND) is None


def test_a_second_use_before_the_token(store: LmdbOneTimeStore) -> None:
    """The second use came while the first one was still at work: the token must not be given."""
    assert codes.token_to_revoke("code", store, NOW + SECOND) is None
    assert not codes.token_given("code", TOKEN_KEY, store, NOW + SECOND)


class Stepping:
    """A store whose every call is a step that another use of the code may come before."""

    def __init__(self, store: LmdbOneTimeStore, before: int, other: Callable[[], object]) -> None:
        self._store = store
        self._left = before
        self._other = other

    def _step(self) -> None:
        if self._left == 0:
            self._other()
        self._left -= 1

    def put(self, key: bytes, value: bytes, expires_at: Milliseconds) -> None:
        self._step()
        self._store.put(key, value, expires_at)

    def take(self, key: bytes) -> bytes | None:
        self._step()
        return self._store.take(key)


@pytest.mark.parametrize("before", [0, 1, 2])
def test_whatever_the_order_no_token_outlives_a_second_use(store: LmdbOneTimeStore, before: int) -> None:
    """The other use comes before the first step, between the two, and after both.

    With the two lines of `token_given` the other way round, the order in the middle lets a token through.
    """
    revoked: list[bytes | None] = []

    def other() -> None:
        revoked.append(codes.token_to_revoke("code", store, NOW + SECOND))

    given = codes.token_given("code", TOKEN_KEY, Stepping(store, before, other), NOW + SECOND)  # type: ignore[arg-type]
    if before == 2:
        other()
    assert not given or revoked == [TOKEN_KEY]


@pytest.mark.parametrize("before", [0, 1, 2])
def test_the_same_seen_from_the_second_use(store: LmdbOneTimeStore, before: int) -> None:
    given: list[bool] = []

    def first() -> None:
        given.append(codes.token_given("code", TOKEN_KEY, store, NOW + SECOND))

    revoked = codes.token_to_revoke("code", Stepping(store, before, first), NOW + SECOND)  # type: ignore[arg-type]
    if before == 2:
        first()
    assert given == [False] or revoked == TOKEN_KEY


def test_what_is_stored_holds_no_code(tmp_path: Path, store: LmdbOneTimeStore) -> None:
    code = codes.issue(AUTHORIZATION, store, NOW)
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("data.mdb"))
    assert json.dumps("bank").encode() in content
    assert code.encode() not in content
