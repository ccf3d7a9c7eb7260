"""The keys of clients: imported once, fetched where clients publish them, and never from where they must not be."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from number_verification.authorization.client_keys import FETCHING, WAITING, ClientKeys
from number_verification.authorization.http_fetch import fetch_document, fetch_public_document
from number_verification.authorization.jose import KeysUnavailable
from number_verification.domain.application import Application
from number_verification.domain.refusal import Reason
from unit.authorization.origin_server import OriginServer, certificate, reply
from unit.authorization.support import EC, RSA, public

BANK = Application(
    client_id="bank",
    name="organizations/bank/applications/bank",
    customer="organizations/bank",
    channel_partner="",
    jwks=public(EC),
    jwks_uri="",
    redirect_uris=frozenset(),
    flows=frozenset(),
    scopes=frozenset(),
    legal_bases={},
)
DOCUMENT = json.dumps(public(RSA)).encode()


def publishing(uri: str, **changes: Any) -> Application:
    return replace(BANK, jwks={}, jwks_uri=uri, **changes)


def test_registered_keys_are_imported_once_and_forgotten_in_order() -> None:
    keys = ClientKeys(fetch_document, 3)
    first = [keys.of(replace(BANK, client_id=str(number))) for number in range(4)]
    assert [keys.of(replace(BANK, client_id=str(number), jwks=public(EC))) for number in (1, 2, 3)] == first[1:]
    assert keys.of(replace(BANK, client_id="0")) is not first[0]
    assert keys.of(replace(BANK, client_id="1")) is not first[1]
    assert keys.of(replace(BANK, client_id="3")) is first[3]


def test_published_keys_are_fetched_once_whatever_else_changes_of_the_client() -> None:
    with OriginServer(reply(DOCUMENT)) as server:
        keys = ClientKeys(fetch_document)
        for objection in (None, Reason.APPLICATION_SUSPENDED, None):
            assert keys.of(publishing(server.uri, objection=objection)).find("rsa", "RS256") is not None
        assert keys.of(publishing(server.uri, client_id="other")).find("rsa", "RS256") is not None
        assert len(server.requests) == 1


def test_registered_keys_in_the_place_of_published_ones_count_at_once() -> None:
    with OriginServer(reply(DOCUMENT)) as server:
        keys = ClientKeys(fetch_document)
        assert keys.of(publishing(server.uri)).find("ec", "ES256") is None
        assert keys.of(BANK).find("ec", "ES256") is not None
        assert keys.of(BANK).find("rsa", "RS256") is None


def test_published_key_sets_are_bounded() -> None:
    with OriginServer(reply(DOCUMENT)) as server:
        keys = ClientKeys(fetch_document, 2)
        sets = [keys.of(publishing(f"{server.uri}&client={number}")) for number in range(3)]
        assert keys.of(publishing(f"{server.uri}&client=2")) is sets[2]
        assert keys.of(publishing(f"{server.uri}&client=0")) is not sets[0]


def test_one_fetch_at_a_time_and_few_who_wait() -> None:
    """A client whose server does not answer keeps no more than a few threads; the others are refused at once.

    Seen to fail without the places: every caller waits.
    """
    answering = threading.Event()

    def slow(uri: str, max_bytes: int, timeout: float) -> bytes:
        assert answering.wait(10)
        return DOCUMENT

    keys, callers = ClientKeys(slow), 8

    def find() -> bool:
        try:
            return keys.of(publishing("https://slow.example/")).find("rsa", "RS256") is not None
        except KeysUnavailable:
            return False

    with ThreadPoolExecutor(callers) as pool:
        waiting = [pool.submit(find) for _ in range(callers)]
        refused = 0
        while refused < callers - WAITING:
            refused = sum(each.done() for each in waiting)
            threading.Event().wait(0.001)
        answering.set()
        assert sorted(each.result() for each in waiting) == [False] * (callers - WAITING) + [True] * WAITING


def test_fetches_are_bounded() -> None:
    """However many applications publish keys on servers that do not answer, there are no more threads than that."""
    answering, running = threading.Event(), threading.Semaphore(0)

    def slow(uri: str, max_bytes: int, timeout: float) -> bytes:
        running.release()
        assert answering.wait(10)
        return DOCUMENT

    keys = ClientKeys(slow)
    try:
        for number in range(FETCHING):
            begun: Any = keys.of(publishing(f"https://slow.example/{number}"))
            begun.warm_up()
            assert running.acquire(timeout=10)
        with pytest.raises(KeysUnavailable):
            keys.of(publishing("https://one-more.example/")).find("rsa", "RS256")
        assert not running.acquire(blocking=False)
    finally:
        answering.set()
    assert keys.of(publishing("https://slow.example/0")).find("rsa", "RS256") is not None
    assert keys.of(publishing("https://later.example/")).find("rsa", "RS256") is not None


@pytest.mark.parametrize("uri", ["not an address", "https://user@bank.example/", "ftp://bank.example/"])
def test_an_address_that_is_none_has_no_keys(uri: str) -> None:
    assert ClientKeys(fetch_public_document).of(publishing(uri)).find("rsa", "RS256") is None


def test_private_addresses_are_fetched_from_only_where_they_are_allowed(tmp_path: Path) -> None:
    serving, trusting = certificate(tmp_path)
    with OriginServer(reply(DOCUMENT), serving) as server:
        with pytest.raises(KeysUnavailable):
            ClientKeys(partial(fetch_public_document, tls=trusting)).of(publishing(server.uri)).find("rsa", "RS256")
        assert not server.connected.is_set()
        fetch = partial(fetch_public_document, tls=trusting, allowed=[ip_network("127.0.0.0/8")])
        assert ClientKeys(fetch).of(publishing(server.uri)).find("rsa", "RS256") is not None
