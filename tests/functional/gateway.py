"""A gateway of the mobile core that reports sessions with pyrad."""

import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from pyrad.client import Client
from pyrad.dictionary import Dictionary
from pyrad.packet import AccountingResponse

from functional.service import Service

DICTIONARY = Path(__file__).parent / "radius" / "dictionary"


@dataclass(frozen=True)
class Attachment:
    """One session of a SIM."""

    address: str
    phone_number: str
    imsi: str
    session_id: str = field(default_factory=lambda: secrets.token_hex(8))


class Gateway:
    """One gateway.

    Args:
        service: which it reports to.
        name: its NAS-Identifier.
    """

    def __init__(self, service: Service, name: str = "test-gateway") -> None:
        radius = service.description["radius"]
        host, _, port = radius["address"].rpartition(":")
        self.name = name
        self.apn = radius["apn"]
        self.client = Client(
            server=host, acctport=int(port), secret=radius["secret"].encode(), dict=Dictionary(str(DICTIONARY))
        )
        self.client.timeout, self.client.retries = 2, 2

    def start(self, attachment: Attachment) -> None:
        self.report("Start", attachment)

    def update(self, attachment: Attachment) -> None:
        self.report("Interim-Update", attachment)

    def stop(self, attachment: Attachment) -> None:
        self.report("Stop", attachment)

    def restart(self) -> None:
        """Accounting-On."""
        self.report("Accounting-On", None)

    def report(self, status: str, attachment: Attachment | None) -> None:
        """Send a packet; return when it was acknowledged."""
        # Without Event-Timestamp the arrival counts, which is finer than whole seconds.
        packet = self.client.CreateAcctPacket(Acct_Status_Type=status, NAS_Identifier=self.name)
        packet["Acct-Session-Id"] = attachment.session_id if attachment else "0"
        if attachment is not None:
            packet["Calling-Station-Id"] = attachment.phone_number[1:]
            packet["Called-Station-Id"] = self.apn
            packet["TGPP-IMSI"] = attachment.imsi
            packet["TGPP-RAT-Type"] = b"\x06"
            packet["Framed-IP-Address"] = attachment.address
        assert self.client.SendPacket(packet).code == AccountingResponse
        # Events of the same millisecond have no order, and what they say of one address is ambiguous.
        reported = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == reported:
            time.sleep(0.0001)
