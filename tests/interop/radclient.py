"""FreeRADIUS' radclient as a gateway, with its own dictionaries."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from functional.service import Service
from interop.programs import program, run

ANSWER_SECONDS = 2


@dataclass(frozen=True)
class Attached:
    """A session that a gateway reports.

    Attributes:
        serial: makes up the number and the IMSI.
        network: the address or prefix the device has, by attribute.
        more: further attributes.
    """

    serial: int
    network: Mapping[str, str]
    more: Mapping[str, str] = field(default_factory=dict)
    session_id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def phone_number(self) -> str:
        return f"+99044400{self.serial:04d}"

    def attributes(self, apn: str) -> dict[str, str]:
        """What the gateway says of it."""
        return {
            "Acct-Session-Id": self.session_id,
            "Called-Station-Id": apn,
            "Calling-Station-Id": self.phone_number.removeprefix("+"),
            "3GPP-IMSI": f"9999944400{self.serial:05d}",
            "3GPP-RAT-Type": "EUTRAN",
            "3GPP-SGSN-MCC-MNC": "99999",
            **self.network,
            **self.more,
        }


class Gateway:
    """A gateway.

    Args:
        service: to which it reports.
        name: its NAS-Identifier.
        secret: shared with the service, by default the right one.
    """

    def __init__(self, service: Service, name: str, secret: str | None = None) -> None:
        radius: dict[str, Any] = service.description["radius"]
        self._address = radius["address"]
        self._secret = secret or radius["secret"]
        self._apn = radius["apn"]
        self._name = name

    def reports(self, status: str, attached: Attached | None = None, **more: str) -> bool:
        """Send an Accounting-Request; whether it was acknowledged."""
        session = attached.attributes(self._apn) if attached else {}
        return self.sends(
            "acct",
            {
                "Acct-Status-Type": status,
                "NAS-Identifier": self._name,
                "Event-Timestamp": str(int(time.time())),
                **session,
                **more,
            },
        )

    def asks_for_status(self) -> bool:
        """Send a Status-Server (RFC 5997); whether it was answered."""
        return self.sends("status", {"Message-Authenticator": "0x00", "NAS-Identifier": self._name})

    def sends(self, command: str, attributes: Mapping[str, str]) -> bool:
        """Send one packet; whether the answer came, and with the right authenticator."""
        lines = "".join(f"{name} = {_quoted(value)}\n" for name, value in attributes.items())
        options = ("-r", "1", "-t", str(ANSWER_SECONDS))
        done = run(program("radclient"), *options, self._address, command, self._secret, given=lines)
        # An attribute that it cannot read, or an answer that is not good, must not pass for a packet without an answer.
        assert done.returncode == 0 or (done.stdout.startswith("Sent ") and not done.stderr), done.stderr
        return done.returncode == 0


def _quoted(value: str) -> str:
    return value if value.startswith("0x") else f'"{value}"'
