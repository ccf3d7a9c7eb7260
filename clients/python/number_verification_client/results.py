"""What calls return."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Verification:
    """The outcome of a comparison; true exactly if the number is the device's: `if client.verify(token, number): …`."""

    verified: bool
    correlator: str
    """The `x-correlator` under which the operator finds this call."""

    def __bool__(self) -> bool:
        return self.verified


@dataclass(frozen=True, slots=True)
class DevicePhoneNumber:
    """The phone number of the device. `str()` and `repr()` hide the number, so that no log shows it by accident."""

    phone_number: str = field(repr=False)
    """E.164 with its `+`."""
    correlator: str
    """The `x-correlator` under which the operator finds this call."""
