"""The simulated mobile core: gateways that report sessions by RADIUS, and CGNAT that reports port blocks by gRPC."""

import hashlib
import ipaddress
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator

import grpc

from number_verification.gen.subscribersession.v1 import subscriber_session_pb2 as pb
from number_verification.listener_settings import ListenAddress
from number_verification.sandbox.devices import CORE_ADDRESS, DEVICES, Device

RADIUS_CLIENT = "loopback"
"""The name of the RADIUS client that stands for all gateways on loopback."""

INTERIM_SECONDS = 60.0

_START, _STOP, _INTERIM = 1, 2, 3
_ATTACHABLE = [device for device in DEVICES if device.framed_address or device.framed_prefix]
_ANSWER_SECONDS, _TRIES = 1.0, 5


class MobileCore:
    """Reports the simulated devices, and goes on doing so.

    Args:
        radius: where accounting is taken.
        secret: shared with it.
        internal: where events of CGNAT are taken.
        service_token: known there.
    """

    def __init__(self, radius: ListenAddress, secret: bytes, internal: ListenAddress, service_token: str) -> None:
        self._radius = radius
        self._secret = secret
        self._internal = internal
        self._service_token = service_token
        self._identifier = 0
        self._sessions: Counter[str] = Counter()

    def attach_all(self) -> None:
        """Report every device as attached; return when all reports were acknowledged.

        Raises:
            ConnectionError: the service does not acknowledge.
        """
        self._account(_START, _ATTACHABLE)
        self._feed(self._events())

    def attach(self, name: str) -> None:
        """Report that a device began a new session.

        Raises:
            ConnectionError: the service does not acknowledge.
        """
        self._sessions[name] += 1
        self._account(_START, [_named(name)])

    def detach(self, name: str) -> None:
        """Report that a device's session ended.

        Raises:
            ConnectionError: the service does not acknowledge.
        """
        self._account(_STOP, [_named(name)])

    def keep_alive(self, stopping: threading.Event) -> None:
        """Send interim updates until told to stop."""
        while not stopping.wait(INTERIM_SECONDS):
            self._account(_INTERIM, _ATTACHABLE)

    def _account(self, status_type: int, devices: Iterable[Device]) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gateway:
            gateway.bind((CORE_ADDRESS, 0))
            gateway.settimeout(_ANSWER_SECONDS)
            for device in devices:
                self._report(gateway, accounting(device, self._session_id(device), status_type))

    def _session_id(self, device: Device) -> str:
        # A restarted sandbox reports new sessions, as a restarted core would.
        return f"{os.getpid():x}-{device.serial:04d}-{self._sessions[device.name]}"

    def _report(self, gateway: socket.socket, attributes: bytes) -> None:
        self._identifier = (self._identifier + 1) % 256
        packet = accounting_request(self._identifier, attributes, self._secret)
        for _ in range(_TRIES):
            gateway.sendto(packet, (self._radius.host, self._radius.port))
            try:
                if gateway.recv(4096)[1] == self._identifier:
                    return
            except TimeoutError:
                continue
        raise ConnectionError("accounting was not acknowledged")

    def _feed(self, events: Iterator[pb.FeedEventsRequest]) -> None:
        with grpc.insecure_channel(str(self._internal)) as channel:
            feed = channel.stream_unary(
                "/subscribersession.v1.SubscriberSessionService/FeedEvents",
                request_serializer=pb.FeedEventsRequest.SerializeToString,
                response_deserializer=pb.FeedEventsResponse.FromString,
            )
            feed(
                events, metadata=(("authorization", f"Bearer {self._service_token}"),), timeout=10, wait_for_ready=True
            )

    def _events(self) -> Iterator[pb.FeedEventsRequest]:
        for device in DEVICES:
            if device.tethered:
                key = pb.SessionKey(nas=f"{RADIUS_CLIENT}/{device.nas}", session_id=self._session_id(device))
                attributes = pb.SessionAttributes(tethering=pb.TETHERING_YES)
                yield pb.FeedEventsRequest(refreshed=pb.SessionEvent(key=key, attributes=attributes))
            if device.ports:
                yield pb.FeedEventsRequest(
                    port_block_allocated=pb.PortBlockChange(
                        public_address=device.ports.public_address,
                        first_port=device.ports.first,
                        last_port=device.ports.last,
                        private_address=device.framed_address,
                        ip_domain=device.nas,
                    )
                )


def _named(name: str) -> Device:
    return next(device for device in DEVICES if device.name == name)


def accounting(device: Device, session_id: str, status_type: int) -> bytes:
    """The attributes of an accounting packet for a device (RFC 2866, 3GPP TS 29.061)."""
    attributes = [
        _attribute(40, struct.pack("!I", status_type)),  # Acct-Status-Type
        _attribute(44, session_id.encode()),  # Acct-Session-Id
        _attribute(32, device.nas.encode()),  # NAS-Identifier
        _attribute(30, device.apn.encode()),  # Called-Station-Id
        _attribute(31, device.phone_number[1:].encode()),  # Calling-Station-Id
        _attribute(55, struct.pack("!I", int(time.time()))),  # Event-Timestamp
        _3gpp(1, device.imsi.encode()),  # 3GPP-IMSI
        _3gpp(21, bytes([device.rat_type])),  # 3GPP-RAT-Type
    ]
    if device.framed_address:
        attributes.append(_attribute(8, ipaddress.IPv4Address(device.framed_address).packed))
    if device.framed_prefix:
        prefix = ipaddress.IPv6Network(device.framed_prefix)
        packed = prefix.network_address.packed[: (prefix.prefixlen + 7) // 8]
        attributes.append(_attribute(97, bytes([0, prefix.prefixlen]) + packed))  # Framed-IPv6-Prefix
    return b"".join(attributes)


def accounting_request(identifier: int, attributes: bytes, secret: bytes) -> bytes:
    """An Accounting-Request with its Request Authenticator (RFC 2866 §3)."""
    head = struct.pack("!BBH", 4, identifier, 20 + len(attributes))
    # MD5 is what RADIUS is made of.
    authenticator = hashlib.md5(head + bytes(16) + attributes + secret, usedforsecurity=False).digest()
    return head + authenticator + attributes


def _attribute(kind: int, value: bytes) -> bytes:
    return bytes([kind, 2 + len(value)]) + value


def _3gpp(kind: int, value: bytes) -> bytes:
    return _attribute(26, struct.pack("!I", 10415) + _attribute(kind, value))
