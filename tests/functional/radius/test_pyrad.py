"""The life of sessions as an independent RADIUS client reports it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyrad.client import Client
from pyrad.dictionary import Dictionary
from pyrad.packet import AccountingResponse, StatusServer

from functional.radius.serving import Serving
from number_verification.domain.attribution import AttributionPolicy, LiveSession, attribute
from number_verification.domain.clock import now
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Ipv4Address, SessionKey, Subscriber
from unit.sessions.feeds.radius.packets import IMSI, PHONE_NUMBER, SECRET

ADDRESS = Ipv4Address("", bytes((10, 0, 0, 1)))
POLICY = AttributionPolicy(apns=frozenset({"internet"}))

Report = Callable[..., Any]


@pytest.fixture
def client(feed: Serving) -> Client:
    client = Client(
        server="127.0.0.1",
        acctport=feed.address[1],
        secret=SECRET,
        dict=Dictionary(str(Path(__file__).with_name("dictionary"))),
    )
    client.timeout = 5
    client.retries = 1
    return client


@pytest.fixture
def report(client: Client) -> Report:
    def send(status: str, *, signed: bool = False, **attributes: Any) -> Any:
        # pyrad checks the answer's authenticator, and its Message-Authenticator where there is one.
        request = client.CreateAcctPacket(
            message_authenticator=signed,
            Acct_Status_Type=status,
            Acct_Session_Id="0a0b0c0d",
            NAS_Identifier="pgw-1",
            NAS_IP_Address="192.0.2.1",
            Event_Timestamp=int(time.time()),
            **attributes,
        )
        if status in ("Start", "Interim-Update", "Stop"):
            request["Calling-Station-Id"] = PHONE_NUMBER[1:]
            request["Called-Station-Id"] = "internet.mnc001.mcc999.gprs"
            request["TGPP-IMSI"] = IMSI
            request["Framed-IP-Address"] = "10.0.0.1"
        reply = client.SendPacket(request)
        assert reply.code == AccountingResponse
        return reply

    return send


def resolve(feed: Serving, address: Ipv4Address | bytes = ADDRESS) -> LiveSession | Reason:
    return attribute(feed.store.sightings(address), POLICY, now())


def test_a_session_lives_from_start_to_stop(feed: Serving, report: Report) -> None:
    assert resolve(feed) is Reason.OFF_NET
    report("Start", TGPP_RAT_Type=b"\x06", Framed_IPv6_Prefix="2001:db8:0:7::/64", TGPP_SGSN_MCC_MNC="99901")
    for address in (ADDRESS, bytes.fromhex("20010db8000000070123456789abcdef")):
        found = resolve(feed, address)
        assert isinstance(found, LiveSession)
        assert found.subscriber == Subscriber(IMSI, PHONE_NUMBER)
    report("Interim-Update", TGPP_RAT_Type=b"\x03")
    assert resolve(feed) is Reason.WLAN_ACCESS
    report("Stop")
    assert resolve(feed) is Reason.SESSION_ENDED


def test_a_lost_start_is_made_up_for(feed: Serving, report: Report) -> None:
    report("Interim-Update", TGPP_RAT_Type=b"\x06")
    assert isinstance(resolve(feed), LiveSession)
    assert feed.store.session(SessionKey("core/pgw-1", "0a0b0c0d")) is not None


@pytest.mark.parametrize("status", ["Accounting-On", "Accounting-Off"])
def test_a_gateway_s_restart_ends_its_sessions(feed: Serving, report: Report, status: str) -> None:
    report("Start", TGPP_RAT_Type=b"\x06")
    started = now()
    feed.wait_for(lambda: now() > started + 1)
    report(status)
    assert resolve(feed) is Reason.SESSION_ENDED


def test_a_session_after_the_restart_lives_although_it_is_the_same_second(feed: Serving, report: Report) -> None:
    report("Accounting-On")
    report("Start", TGPP_RAT_Type=b"\x06")
    assert isinstance(resolve(feed), LiveSession)


def test_signed_packets(feed: Serving, report: Report) -> None:
    reply = report("Start", signed=True)
    assert reply.message_authenticator
    assert feed.outcomes["recorded"] == 1


def test_proxy_states_come_back_in_order(report: Report) -> None:
    states = [b"first", b"second", b"first"]
    assert report("Start", Proxy_State=states)["Proxy-State"] == states


def test_status_server(feed: Serving, client: Client) -> None:
    reply = client.SendPacket(client.CreateAcctPacket(code=StatusServer))
    assert reply.code == AccountingResponse
    assert feed.outcomes["status_server"] == 1
