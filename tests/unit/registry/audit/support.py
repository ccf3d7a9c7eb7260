"""What the tests of this folder share: a trail on real files, with a clock that they move."""

from pathlib import Path
from typing import Any

from number_verification.domain.audit import AuditKind, AuditRecord
from number_verification.domain.clock import Milliseconds
from number_verification.registry.audit import files, verify
from number_verification.registry.audit.files import DAY, path_of
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.reading import Query, decode_place, encode_place, page
from number_verification.registry.audit.sealer import Sealer
from number_verification.registry.audit.seals import SealKey
from number_verification.registry.audit.trail import AuditTrail

START: Milliseconds = 1_800_000_000_000
"""2027-01-15, 08:00 UTC."""
NUMBERS = [f"+99055500{serial:04d}" for serial in range(5)]

CALL = AuditRecord(
    START,
    AuditKind.CALL,
    "correlator-1",
    "/s.S/M",
    "grpc",
    "OK",
    client_id="client",
    application="organizations/bank/applications/app",
    customer="organizations/bank",
    channel_partner="organizations/hub",
    method="nba",
    purpose="dpv:Test",
)


class Place:
    """A trail in a directory of its own, its keys beside it."""

    def __init__(self, root: Path, days: int = 30) -> None:
        self.root = root
        self.audit, self.keys = root / "audit", root / "keys"
        self.now = START
        self.numbers = NumberKeys(self.keys, days)
        self.seal_key = SealKey(self.keys)
        self.trail = AuditTrail(self.audit, self.numbers)
        self._sealer: Sealer | None = None

    @property
    def sealer(self) -> Sealer:
        if self._sealer is None:
            self._sealer = Sealer(self.audit, self.seal_key, lambda: self.now)
        return self._sealer

    def restart(self) -> None:
        """As if the processes had ended and come back."""
        if self._sealer is not None:
            self._sealer.close()
            self._sealer = None
        self.trail.close()
        self.trail = AuditTrail(self.audit, self.numbers)

    def record(self, count: int = 1, phone_number: str = NUMBERS[0], **changes: Any) -> None:
        for _ in range(count):
            self.now += 1
            self.trail.record(CALL._replace(time=self.now, **changes), phone_number)

    def a_day_later(self) -> None:
        self.now += DAY

    def segments(self) -> list[str]:
        return [name for day in files.days(self.audit) for name in files.segments(self.audit, day)]

    def paths(self) -> list[Path]:
        return [path_of(self.audit, name) for name in self.segments()]

    def verify(self) -> verify.Verification:
        return verify.verify(self.audit, self.seal_key)

    def kinds(self) -> list[str]:
        return [finding.kind.value for finding in self.verify().findings]

    def content(self) -> bytes:
        """Everything in every file of the trail."""
        return b"".join(path.read_bytes() for path in self.audit.rglob("*") if path.is_file())

    def end(self) -> None:
        self.trail.close()
        if self._sealer is not None:
            self._sealer.close()


def everything(place: Place, size: int = 1000, **wanted: Any) -> list[AuditRecord]:
    found: list[AuditRecord] = []
    after = None
    while True:
        records, after = page(place.audit, Query(**wanted), size, after)
        found += records
        if after is None:
            return found
        # As a caller has it between two pages.
        after = decode_place(encode_place(after))
        assert after is not None
