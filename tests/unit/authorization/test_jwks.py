"""Key sets: which keys count, and when they are fetched."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey

from number_verification.authorization.http_fetch import FetchFailed
from number_verification.authorization.jose import KeysUnavailable
from number_verification.authorization.jwks import RemoteKeySet, StaticKeySet
from number_verification.domain.clock import HOUR, MINUTE, SECOND
from unit.authorization.origin_server import OriginServer, reply
from unit.authorization.support import EC, OKP, RSA, public

NEW = ECKey.generate_key("P-256", {"kid": "new"})
URI = "https://idp.operator.example/jwks"


def test_keys_are_found_by_identifier_and_algorithm() -> None:
    keys = StaticKeySet(public(EC, RSA, OKP))
    for kid, algorithms in (("ec", {"ES256"}), ("rsa", {"RS256", "PS256"}), ("okp", {"EdDSA", "Ed25519"})):
        for algorithm in ("ES256", "RS256", "PS256", "EdDSA", "Ed25519", "HS256", "none"):
            found = keys.find(kid, algorithm)
            assert (found is not None) == (algorithm in algorithms)
            assert found is None or found.kid == kid
    assert keys.find("other", "ES256") is None
    assert keys.find(None, "ES256") is keys.find("ec", "ES256")


def test_more_than_one_key_is_none() -> None:
    assert StaticKeySet(public(EC, NEW)).find(None, "ES256") is None
    same = NEW.as_dict(private=False, kid="ec")
    twice = StaticKeySet({"keys": [EC.as_dict(private=False), same]})
    assert twice.find("ec", "ES256") is None
    nameless = {name: value for name, value in EC.as_dict(private=False).items() if name != "kid"}
    assert StaticKeySet({"keys": [nameless]}).find(None, "ES256") is not None
    assert StaticKeySet({"keys": [nameless]}).find("ec", "ES256") is None


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_keys_that_are_not_usable_are_left_out() -> None:
    foreign: list[Any] = [
        None, 1, "key", [], {}, {"kty": "EC"}, {"kty": "XYZ", "kid": "ec"},
        OctKey.generate_key(256, {"kid": "ec"}).as_dict(private=True),
        NEW.as_dict(private=True, kid="ec"),
        ECKey.generate_key("P-384", {"kid": "ec"}).as_dict(private=False),
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "ec"},
        {**EC.as_dict(private=False), "use": "enc"},
    ]  # fmt: skip
    assert not StaticKeySet({"keys": foreign})
    assert StaticKeySet({"keys": [*foreign, *public(EC)["keys"]]}).find("ec", "ES256") is not None


@pytest.mark.parametrize("jwks", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}, EC.as_dict(private=False)])
def test_what_is_no_key_set(jwks: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a JWK set"):
        StaticKeySet(jwks)


class Source:
    """A fetch that a test can watch and hold back."""

    def __init__(self, *keys: Any) -> None:
        self.document: bytes | None = json.dumps(public(*keys)).encode()
        self.fetches = 0
        self.open = threading.Event()
        self.open.set()
        self.asked = threading.Event()

    def __call__(self, uri: str, max_bytes: int, timeout: float) -> bytes:
        assert (uri, max_bytes) == (URI, 65_536)
        self.fetches += 1
        self.asked.set()
        assert self.open.wait(10)
        if self.document is None:
            raise FetchFailed("status 503")
        return self.document


class Time:
    now = 10**9

    def __call__(self) -> int:
        return self.now


def remote(source: Source, time: Time, **options: Any) -> RemoteKeySet:
    return RemoteKeySet(URI, fetch=source, clock=time, **options)


def eventually(condition: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(1000):
        if condition():
            return
        waiting.wait(0.005)
    raise AssertionError("did not happen")


def test_fetched_once_and_kept() -> None:
    source, time = Source(EC), Time()
    keys = remote(source, time)
    assert source.fetches == 0
    for _ in range(100):
        assert keys.find("ec", "ES256") is not None
    time.now += 10 * MINUTE
    assert keys.find("ec", "ES256") is not None
    assert source.fetches == 1


def test_warm_up_fetches_before_the_first_call() -> None:
    source = Source(EC)
    keys = remote(source, Time())
    keys.warm_up()
    eventually(lambda: keys._fetched is not None)
    assert keys.find("ec", "ES256") is not None
    assert source.fetches == 1


def test_refreshed_by_age_while_the_old_keys_serve() -> None:
    source, time = Source(EC), Time()
    keys = remote(source, time)
    assert keys.find("ec", "ES256") is not None
    source.document = json.dumps(public(NEW)).encode()
    source.open.clear()
    time.now += 10 * MINUTE + 1
    for _ in range(20):
        assert keys.find("ec", "ES256") is not None
    source.open.set()
    eventually(lambda: keys._running is None)
    assert source.fetches == 2
    assert keys.find("ec", "ES256") is None
    assert keys.find("new", "ES256") is not None


def test_an_unknown_identifier_fetches_at_once() -> None:
    source, time = Source(EC), Time()
    keys = remote(source, time)
    assert keys.find("ec", "ES256") is not None
    source.document = json.dumps(public(EC, NEW)).encode()
    time.now += 10 * SECOND
    assert keys.find("new", "ES256") is not None
    assert source.fetches == 2


def test_a_flood_of_unknown_identifiers_fetches_once_an_interval() -> None:
    source, time = Source(EC), Time()
    keys = remote(source, time)
    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda number: keys.find(f"unknown-{number}", "ES256"), range(400)))
        assert found == [None] * 400
        assert keys.find("ec", "ES256") is not None
        eventually(lambda: keys._running is None)
        time.now += 10 * SECOND
    assert source.fetches == 5


def test_while_one_fetch_runs_others_use_the_old_keys() -> None:
    source, time = Source(EC), Time()
    keys = remote(source, time)
    assert keys.find("ec", "ES256") is not None
    source.open.clear()
    source.asked.clear()
    source.document = json.dumps(public(EC, NEW)).encode()
    time.now += HOUR
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(keys.find, "new", "ES256")
        assert source.asked.wait(5)
        assert keys.find("ec", "ES256") is not None
        assert keys.find("new", "ES256") is None
        time.now += 10 * SECOND  # the fetch takes longer than the interval
        assert keys.find("new", "ES256") is None
        assert not waiting.done()
        assert source.fetches == 2
        source.open.set()
        assert waiting.result(5) is not None
    assert source.fetches == 2


def test_the_first_callers_wait_for_one_fetch() -> None:
    source, time = Source(EC), Time()
    keys = remote(source, time)
    source.open.clear()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(keys.find, "ec", "ES256") for _ in range(8)]
        assert source.asked.wait(5)
        source.open.set()
        assert all(caller.result(5) is not None for caller in waiting)
    assert source.fetches == 1


def test_no_caller_waits_for_longer_than_the_timeout() -> None:
    source, time = Source(EC), Time()
    keys = remote(source, time, timeout=0.05)
    source.open.clear()
    with pytest.raises(KeysUnavailable):
        keys.find("ec", "ES256")
    source.open.set()
    eventually(lambda: keys._running is None)
    assert keys.find("ec", "ES256") is not None


def test_an_outage_at_the_start() -> None:
    source, time = Source(EC), Time()
    document, source.document = source.document, None
    keys = remote(source, time)
    for waited, seconds in ((0, 10), (1, 10), (8998, 2), (1000, 1)):
        time.now += waited
        with pytest.raises(KeysUnavailable) as caught:
            keys.find("ec", "ES256")
        assert caught.value.retry_after == seconds
    assert source.fetches == 1
    source.document = document
    time.now += 1
    assert keys.find("ec", "ES256") is not None
    assert source.fetches == 2


@pytest.mark.parametrize("broken", [None, b"", b"{}", b'{"keys":[]}', b"<html>", b'{"keys":1}', b"[" * 50_000, b"\xff"])
def test_keys_serve_through_an_outage_but_not_for_ever(broken: bytes | None) -> None:
    source, time = Source(EC), Time()
    keys = remote(source, time)
    assert keys.find("ec", "ES256") is not None
    began = time.now
    good, source.document = source.document, broken
    while time.now < began + 24 * HOUR:
        time.now += HOUR
        assert keys.find("ec", "ES256") is not None
        eventually(lambda: keys._running is None)
    assert source.fetches == 25
    time.now += 1
    with pytest.raises(KeysUnavailable):
        keys.find("ec", "ES256")
    source.document = good
    time.now += 10 * SECOND
    assert keys.find("ec", "ES256") is not None


def test_a_fetch_that_breaks_is_an_outage(capfd: pytest.CaptureFixture[str]) -> None:
    def broken(uri: str, max_bytes: int, timeout: float) -> bytes:
        raise RuntimeError

    keys = RemoteKeySet(URI, fetch=broken, clock=Time())
    with pytest.raises(KeysUnavailable):
        keys.find("ec", "ES256")
    assert keys._running is None
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["jwks_fault"]


def test_the_log_says_where_and_why_but_not_what(capfd: pytest.CaptureFixture[str]) -> None:
    source = Source(EC)
    source.document = b'{"keys": "+99012345678"}'
    keys = remote(source, Time())
    with pytest.raises(KeysUnavailable):
        keys.find("ec", "ES256")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(line["event"], line["host"], line["why"]) for line in lines] == [
        ("jwks_unavailable", "idp.operator.example", "not a JWK set")
    ]


@pytest.mark.parametrize("uri", ["http://idp.operator.example/jwks", "ftp://x/", "https://a@b/"])
def test_addresses_are_checked_at_once(uri: str) -> None:
    with pytest.raises(ValueError, match="address"):
        RemoteKeySet(uri)


def test_over_a_real_connection() -> None:
    """Rotation, an outage, an oversized set and a redirect, through sockets."""
    time = Time()
    with OriginServer(reply(json.dumps(public(EC)).encode())) as server:
        keys = RemoteKeySet(server.uri, clock=time, max_bytes=5000)
        assert keys.find("ec", "ES256") is not None
        bad = [
            reply(b"{}", "302 Found", f"Location: {server.uri}"),
            reply(b" " * 5001 + json.dumps(public(NEW)).encode()),
            reply(b"oops", "500 Oops"),
            lambda connection: connection.close(),
        ]
        for script in bad:
            server.script = script
            time.now += 10 * SECOND
            assert keys.find("new", "ES256") is None
            assert keys.find("ec", "ES256") is not None
        server.script = reply(json.dumps(public(NEW)).encode())
        time.now += 10 * SECOND
        assert keys.find("new", "ES256") is not None
        assert keys.find("ec", "ES256") is None
        assert len(server.requests) == 2 + len(bad)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(_json, max_size=4))
def test_any_list_is_a_set_of_no_keys(keys: list[Any]) -> None:
    assert not StaticKeySet({"keys": keys})
