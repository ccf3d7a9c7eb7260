"""Subscribers on a mobile network: as many as wanted, always the same ones, scattered as real ones are."""

import struct
from collections.abc import Iterable
from pathlib import Path

from number_verification.domain import clock
from number_verification.domain.session import (
    EventKind,
    Ipv4Address,
    Ipv6Prefix,
    SessionEvent,
    SessionKey,
    Subscriber,
)
from number_verification.sandbox.core import RADIUS_CLIENT
from number_verification.sandbox.devices import APN
from number_verification.sessions.lmdb import LmdbSessionStore

_GATEWAYS = 16
_BATCH = 1_000
"""As many events as the RADIUS listener records at once."""
_SCATTER = 0x9E3779B1
"""Odd, so that multiplying by it permutes the numbers below any power of two."""
_HOME_NETWORK = "99999"
_E_UTRAN = 6


def address(serial: int) -> bytes:
    """The IPv4 address of a subscriber: in 127.64.0.0/10, so that a client of ours can be their device."""
    return (127 << 24 | 64 << 16 | (serial * _SCATTER) % (1 << 22)).to_bytes(4, "big")


def phone_number(serial: int) -> str:
    """Their phone number."""
    return f"+{_msisdn(serial)}"


def fill(path: Path, map_size: int, sessions: int, *, dual_stack: bool = False) -> None:
    """Record a session for each of so many subscribers.

    Args:
        path: the store's directory.
        map_size: how many bytes it may grow to.
        sessions: how many.
        dual_stack: whether each has an IPv6 prefix too.
    """
    path.parent.mkdir(exist_ok=True)
    store = LmdbSessionStore(path, map_size)
    try:
        for start in range(0, sessions, _BATCH):
            now = clock.now()
            serials = range(start, min(start + _BATCH, sessions))
            store.record([_started(serial, now, dual_stack) for serial in serials], now)
    finally:
        store.close()


def _started(serial: int, time: int, dual_stack: bool) -> SessionEvent:
    prefix = Ipv6Prefix(b"\x20\x01\x0d\xb8\x09\x90" + address(serial)[2:] + bytes(8), 64)
    return SessionEvent(
        EventKind.START,
        SessionKey(f"{RADIUS_CLIENT}/{_gateway(serial)}", _session_id(serial)),
        time,
        Subscriber(_imsi(serial), phone_number(serial)),
        Ipv4Address("", address(serial)),
        (prefix,) if dual_stack else None,
        APN,
        _E_UTRAN,
        None,
        _HOME_NETWORK,
    )


def accounting(kind: EventKind, serials: Iterable[int]) -> list[bytes]:
    """The attributes of accounting packets about subscribers (RFC 2866, 3GPP TS 29.061)."""
    now = struct.pack("!I", clock.now() // clock.SECOND)
    return [
        b"".join(
            (
                _attribute(40, struct.pack("!I", kind)),  # Acct-Status-Type
                _attribute(44, _session_id(serial).encode()),  # Acct-Session-Id
                _attribute(32, _gateway(serial).encode()),  # NAS-Identifier
                _attribute(30, APN.encode()),  # Called-Station-Id
                _attribute(31, _msisdn(serial).encode()),  # Calling-Station-Id
                _attribute(8, address(serial)),  # Framed-IP-Address
                _attribute(55, now),  # Event-Timestamp
                _3gpp(1, _imsi(serial).encode()),  # 3GPP-IMSI
                _3gpp(18, _HOME_NETWORK.encode()),  # 3GPP-SGSN-MCC-MNC
                _3gpp(21, bytes([_E_UTRAN])),  # 3GPP-RAT-Type
            )
        )
        for serial in serials
    ]


def _gateway(serial: int) -> str:
    return f"pgw-{serial % _GATEWAYS:02d}.epc.mnc999.mcc999.3gppnetwork.org"


def _session_id(serial: int) -> str:
    """As gateways make it: their address and the charging id, in hexadecimal, rising."""
    return f"{0x0A000001 + serial % _GATEWAYS:08x}{serial // _GATEWAYS:08x}"


def _imsi(serial: int) -> str:
    return f"{_HOME_NETWORK}{(serial * _SCATTER) % (1 << 32):010d}"


def _msisdn(serial: int) -> str:
    return f"990{(serial * _SCATTER) % (1 << 29):09d}"


def _attribute(kind: int, value: bytes) -> bytes:
    return bytes([kind, 2 + len(value)]) + value


def _3gpp(kind: int, value: bytes) -> bytes:
    return _attribute(26, struct.pack("!I", 10415) + _attribute(kind, value))
