"""The simulated devices. Their numbers begin with +990, which no country has (ITU-T E.164)."""

from dataclasses import dataclass

from number_verification.domain.refusal import Reason

APN = "internet"
TETHERING_APN = "hotspot"
CORPORATE_APN = "corporate.example"

E_UTRAN, NR, WLAN = 6, 51, 3

CORE, CGNAT_CORE = "simulated-gateway", "simulated-gateway-cgnat"
"""The gateways. The second one's devices have private addresses behind CGNAT."""

CORE_ADDRESS = "127.9.9.1"
"""From where they report: their own address, so that a restart of somebody else's gateway is not theirs."""

TRUSTED_PROXY = "127.9.9.9"


@dataclass(frozen=True, slots=True)
class PortRange:
    """The ports of a public address that CGNAT gave to a device."""

    public_address: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Device:
    """One simulated device and what is to become of it."""

    name: str
    serial: int
    """Makes up its number and its IMSI."""
    framed_address: str = ""
    """The IPv4 address that the gateway gave it."""
    framed_prefix: str = ""
    """The IPv6 prefix that the gateway gave it."""
    connects_from: str = ""
    """The loopback address that its client binds to; empty for devices behind the trusted proxy."""
    forwarded: str = ""
    """What the trusted proxy writes about it."""
    nas: str = CORE
    apn: str = APN
    rat_type: int = E_UTRAN
    tethered: bool = False
    ports: PortRange | None = None
    refused: Reason | None = None
    consents: bool = False
    """Whether its user agrees to what the application asks for whose legal basis is consent."""

    @property
    def phone_number(self) -> str:
        """In E.164."""
        return f"+99010000{self.serial:04d}"

    @property
    def imsi(self) -> str:
        """999-99 is no operator's network."""
        return f"999990000{self.serial:06d}"


DEVICES = (
    Device("phone-1", 1, "127.1.0.1", connects_from="127.1.0.1", consents=True),
    Device("phone-2", 2, "127.1.0.2", connects_from="127.1.0.2", rat_type=NR),
    Device(
        "hotspot-guest",
        3,
        "127.1.0.3",
        connects_from="127.1.0.3",
        tethered=True,
        refused=Reason.TETHERED,
        consents=True,
    ),
    Device("wifi-calling", 4, "127.1.0.4", connects_from="127.1.0.4", rat_type=WLAN, refused=Reason.WLAN_ACCESS),
    Device("hotspot-apn", 5, "127.1.0.5", connects_from="127.1.0.5", apn=TETHERING_APN, refused=Reason.TETHERED),
    Device(
        "company-laptop", 6, "127.1.0.6", connects_from="127.1.0.6", apn=CORPORATE_APN, refused=Reason.APN_NOT_ALLOWED
    ),
    Device("home-wifi", 7, connects_from="127.1.0.7", refused=Reason.OFF_NET),
    Device(
        "ipv6",
        8,
        framed_prefix="2001:db8:990:1::/64",
        forwarded='for="[2001:db8:990:1::42]:40001"',
        rat_type=NR,
        consents=True,
    ),
    Device(
        "cgnat",
        9,
        "10.0.0.9",
        nas=CGNAT_CORE,
        ports=PortRange("203.0.113.7", 40000, 40511),
        forwarded='for="203.0.113.7:40001"',
        consents=True,
    ),
    Device(
        "cgnat-neighbour",
        10,
        "10.0.0.10",
        nas=CGNAT_CORE,
        ports=PortRange("203.0.113.7", 40512, 41023),
        forwarded='for="203.0.113.7:40601"',
    ),
    Device("cgnat-port-unknown", 11, forwarded='for="203.0.113.7"', refused=Reason.PORT_MISSING),
)
