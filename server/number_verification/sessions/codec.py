"""How the embedded session store writes things down: keys that sort, and packed records with a version byte.

Packed by hand because it is the greater part of what a look-up or an event costs:
docs/decisions/0003-lmdb-stores.md.
"""

import hashlib
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from number_verification.domain.clock import Milliseconds
from number_verification.domain.session import (
    Claim,
    Ipv4Address,
    Ipv6Prefix,
    Latest,
    PortBlock,
    PortBlockRecord,
    SessionEvent,
    SessionKey,
    SessionRecord,
    Tethering,
    extended,
    joined,
)

Address: TypeAlias = Ipv4Address | Ipv6Prefix

_VERSION: Final = 1

_LAST_SEEN: Final = struct.Struct("<BHq")
"""Version, registers present, last event."""

_IMSI: Final = 1
_NUMBER: Final = 1024
_NUMBER_ALONE: Final = 2048
_SUBSCRIBER_PARTS: Final = {
    (False, False): 0,
    (True, False): _IMSI,
    (False, True): _NUMBER,
    (True, True): _IMSI | _NUMBER,
}

_NARROW: Final = 0
_WIDE: Final = 256


# What follows the last event: how long before it the session was first seen, started and ended, and its seven registers
# were reported; RAT type, tethering; lengths of session id, IMSI, phone number, APN, serving network; number of IPv6
# prefixes held, number of claims. No instant lies outside of first and last event: 32 bits do unless those are seven
# weeks apart.
_SESSION: Final = {_NARROW: struct.Struct("<BHq10IIB5HHI"), _WIDE: struct.Struct("<BHq10QIB5HHI")}

# Whether the session holds the address as its IPv4 address; how long before the last event it was first and last seen
# with it; prefix length (0: IPv4); length of the realm.
_CLAIM: Final = {_NARROW: struct.Struct("<?2IBH"), _WIDE: struct.Struct("<?2QBH")}
_INDEX: Final = struct.Struct("<I")
# At the very end, where the phone number was last reported at another time than the IMSI: when.
_INSTANT: Final = struct.Struct("<q")
# Version, whether an allocation is known; its time; the time of the release; its private address. The realm follows.
_BLOCK: Final = struct.Struct("<B?2q4s")
_BLOCK_KEY: Final = struct.Struct(">4s2H")
# Epoch, heard. The gateway's name follows.
_GATEWAY: Final = struct.Struct("<2q")

FAR_FUTURE: Final[Milliseconds] = 2**63 - 1

_LONGEST_NAME: Final = 128
_TETHERING: Final = {int(member): member for member in Tethering}


class Damaged(Exception):
    """What was read is not what was written, or a later version wrote it."""


class StoredSession(NamedTuple):
    """A session, and every address that it was ever seen with.

    The claims stand beside the record rather than in the index by address, so that an event that brings no new address
    (nearly every one) touches one page only, and so that purging finds what to take out of the index.
    """

    record: SessionRecord
    claims: dict[Address, Claim]


class Gateway(NamedTuple):
    """What is known of a gateway."""

    nas: str
    epoch: Milliseconds
    heard: Milliseconds


def with_event(stored: StoredSession | None, event: SessionEvent) -> StoredSession:
    """The session with the event added. The claims given are changed in place."""
    record, claims = stored if stored is not None else (None, {})
    if event.ipv4 is not None:
        claims[event.ipv4] = extended(claims.get(event.ipv4), event.time)
    for prefix in event.ipv6 or ():
        claims[prefix] = extended(claims.get(prefix), event.time)
    return StoredSession(joined(record, event), claims)


def text(name: str) -> bytes:
    """The bytes of any string: names come from outside and need not be valid Unicode."""
    return name.encode("utf-8", "surrogatepass")


def key_text(name: str) -> bytes:
    """The bytes of a string where it is part of a key, which LMDB limits to 511 bytes: a digest of a long one.

    0xFF occurs in no encoded string, so that a digest is never mistaken for a name.
    """
    raw = text(name)
    return raw if len(raw) <= _LONGEST_NAME else b"\xff" + hashlib.sha256(raw).digest()


def nas_key(nas: str) -> bytes:
    """The key of a gateway's name. Not empty, even where the name is."""
    return b"n" + key_text(nas)


def address_key(address: Address) -> bytes:
    """What the keys of all claims on an address begin with. No such key is the beginning of another."""
    if isinstance(address, Ipv4Address):
        realm = key_text(address.ip_domain)
        return b"\x04" + address.address + bytes((len(realm),)) + realm
    return bytes((6, address.length)) + address.address


def prefix_of(address: bytes, length: int) -> Ipv6Prefix:
    """The prefix of this length that contains an IPv6 address."""
    host_bits = 128 - length
    return Ipv6Prefix((int.from_bytes(address, "big") >> host_bits << host_bits).to_bytes(16, "big"), length)


def block_key(block: PortBlock) -> bytes:
    """The key of a port block: sorts by public address, then first port."""
    return _BLOCK_KEY.pack(block.public_address, block.first_port, block.last_port)


def encode_session(stored: StoredSession) -> bytes:
    """Pack a session. Its key is kept only as far as the database's key cannot give it back."""
    record, claims = stored
    (key, started, first_seen, last_seen, ended, known_imsi, known_number, ipv4, ipv6, apn, rat, tethering, network) = (
        record
    )
    width = _NARROW if last_seen - first_seen < 1 << 32 else _WIDE
    present = width
    started_ago = ended_ago = subscriber_ago = ipv4_ago = ipv6_ago = apn_ago = rat_ago = tethering_ago = network_ago = 0
    rat_type = flag = 0
    imsi = phone_number = apn_name = network_name = number_reported = b""
    held: tuple[Ipv6Prefix, ...] = ()
    session_id = text(key.session_id)
    long_id = session_id if len(session_id) > _LONGEST_NAME else b""
    if started:
        present |= 128
        started_ago = last_seen - started
    if ended:
        present |= 512
        ended_ago = last_seen - ended
    present |= _SUBSCRIBER_PARTS[known_imsi is not None, known_number is not None]
    if known_imsi is not None:
        imsi, subscriber_ago = text(known_imsi[1]), last_seen - known_imsi[0]
    if known_number is not None:
        phone_number, subscriber_ago, number_reported = _encoded_number(known_number, last_seen, known_imsi)
        present |= _NUMBER_ALONE * bool(number_reported)
    if ipv4 is not None:
        present |= 2
        ipv4_ago = last_seen - ipv4[0]
    if ipv6 is not None:
        present |= 4
        ipv6_ago, held = last_seen - ipv6[0], ipv6[1]
    if apn is not None:
        present |= 8
        apn_ago, apn_name = last_seen - apn[0], text(apn[1])
    if rat is not None:
        present |= 16
        rat_ago, rat_type = last_seen - rat[0], rat[1]
    if tethering is not None:
        present |= 32
        tethering_ago, flag = last_seen - tethering[0], tethering[1]
    if network is not None:
        present |= 64
        network_ago, network_name = last_seen - network[0], text(network[1])
    # fmt: off
    parts = [
        _SESSION[width].pack(
            _VERSION, present, last_seen, last_seen - first_seen, started_ago, ended_ago,
            subscriber_ago, ipv4_ago, ipv6_ago, apn_ago, rat_ago, tethering_ago, network_ago, rat_type, flag,
            len(long_id), len(imsi), len(phone_number), len(apn_name), len(network_name), len(held), len(claims),
        ),
        long_id, imsi, phone_number, apn_name, network_name,
    ]
    # fmt: on
    parts += _encoded_claims(claims, ipv4[1] if ipv4 is not None else None, _CLAIM[width], last_seen)
    if held:
        positions = {address: position for position, address in enumerate(claims)}
        parts += (_INDEX.pack(positions[prefix]) for prefix in held)
    parts.append(number_reported)
    return b"".join(parts)


def _encoded_number(
    number: Latest[str], last_seen: Milliseconds, imsi: Latest[str] | None
) -> tuple[bytes, Milliseconds, bytes]:
    """The number, the time of the IMSI or else its own, and its own time where that is another one."""
    if imsi is None or imsi.time == number.time:
        return text(number.value), last_seen - number.time, b""
    return text(number.value), last_seen - imsi.time, _INSTANT.pack(number.time)


def _encoded_claims(
    claims: dict[Address, Claim], ipv4: Ipv4Address | None, layout: struct.Struct, last_seen: Milliseconds
) -> Iterator[bytes]:
    for address, (first, last) in claims.items():
        if isinstance(address, Ipv4Address):
            realm = text(address.ip_domain)
            yield layout.pack(address == ipv4, last_seen - first, last_seen - last, 0, len(realm))
            yield realm
        else:
            yield layout.pack(False, last_seen - first, last_seen - last, address.length, 0)
        yield address.address


def decode_session(nas: str, raw_id: bytes, raw: bytes) -> StoredSession:
    """Unpack a session, given its gateway and the part of its key that names it.

    Raises:
        Damaged: these bytes are no session.
    """
    try:
        return _decoded_session(nas, raw_id, raw)
    except (struct.error, ValueError, LookupError) as error:
        raise Damaged("damaged session record") from error


def _decoded_session(nas: str, raw_id: bytes, raw: bytes) -> StoredSession:
    version, present, last_seen = _LAST_SEEN.unpack_from(raw)
    if version != _VERSION:
        raise Damaged("session record of an unknown version")
    layout = _SESSION[present & _WIDE]
    # fmt: off
    (
        _, _, _, first_ago, started_ago, ended_ago,
        subscriber_ago, ipv4_ago, ipv6_ago, apn_ago, rat_ago, tethering_ago, network_ago, rat_type, flag,
        id_length, imsi_length, phone_length, apn_length, network_length, held, claimed,
    ) = layout.unpack_from(raw)
    # fmt: on
    id_at = layout.size
    imsi_at = id_at + id_length
    phone_at = imsi_at + imsi_length
    apn_at = phone_at + phone_length
    network_at = apn_at + apn_length
    claims_at = network_at + network_length
    session_id = raw[id_at:imsi_at] if id_length else raw_id
    claims, ipv4, held_at = _decoded_claims(raw, claims_at, claimed, _CLAIM[present & _WIDE], last_seen)
    imsi = phone_number = apn = rat = tethering = network = ipv6 = None
    if present & _IMSI:
        imsi = Latest(last_seen - subscriber_ago, _str(raw[imsi_at:phone_at]))
    if present & _NUMBER:
        reported = last_seen - subscriber_ago
        if present & _NUMBER_ALONE:
            (reported,) = _INSTANT.unpack_from(raw, held_at + held * _INDEX.size)
        phone_number = Latest(reported, _str(raw[phone_at:apn_at]))
    if present & 4:
        ipv6 = Latest(last_seen - ipv6_ago, _held_prefixes(claims, raw[held_at : held_at + held * _INDEX.size]))
    if present & 8:
        apn = Latest(last_seen - apn_ago, _str(raw[apn_at:network_at]))
    if present & 16:
        rat = Latest(last_seen - rat_ago, rat_type)
    if present & 32:
        tethering = Latest(last_seen - tethering_ago, _TETHERING[flag])
    if present & 64:
        network = Latest(last_seen - network_ago, _str(raw[network_at:claims_at]))
    record = SessionRecord(
        SessionKey(nas, _str(session_id)),
        last_seen - started_ago if present & 128 else 0,
        last_seen - first_ago,
        last_seen,
        last_seen - ended_ago if present & 512 else 0,
        imsi,
        phone_number,
        Latest(last_seen - ipv4_ago, ipv4) if ipv4 is not None else None,
        ipv6,
        apn,
        rat,
        tethering,
        network,
    )
    return StoredSession(record, claims)


def _decoded_claims(
    raw: bytes, at: int, count: int, layout: struct.Struct, last_seen: Milliseconds
) -> tuple[dict[Address, Claim], Ipv4Address | None, int]:
    claims: dict[Address, Claim] = {}
    ipv4 = None
    address: Address
    for _ in range(count):
        is_held, first_ago, last_ago, length, realm_length = layout.unpack_from(raw, at)
        at += layout.size
        if length:
            address = Ipv6Prefix(raw[at : at + 16], length)
            at += 16
        else:
            realm_end = at + realm_length
            address = Ipv4Address(_str(raw[at:realm_end]), raw[realm_end : realm_end + 4])
            at = realm_end + 4
            if is_held:
                ipv4 = address
        claims[address] = Claim(last_seen - first_ago, last_seen - last_ago)
    return claims, ipv4, at


def _held_prefixes(claims: dict[Address, Claim], raw: bytes) -> tuple[Ipv6Prefix, ...]:
    addresses = list(claims)
    held = (addresses[position] for (position,) in _INDEX.iter_unpack(raw))
    return tuple(address for address in held if isinstance(address, Ipv6Prefix))


def _str(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def last_seen(raw: bytes) -> Milliseconds:
    """When a packed session was last heard of, without unpacking it all.

    Raises:
        Damaged: these bytes are no session.
    """
    try:
        seen: Milliseconds = _LAST_SEEN.unpack_from(raw)[2]
    except struct.error as error:
        raise Damaged("damaged session record") from error
    return seen


def encode_block(record: PortBlockRecord) -> bytes:
    """Pack a port block's registers."""
    if record.allocated is None:
        return _BLOCK.pack(_VERSION, False, 0, record.released, b"")
    time, private = record.allocated
    return _BLOCK.pack(_VERSION, True, time, record.released, private.address) + text(private.ip_domain)


def over_since(raw: bytes) -> Milliseconds:
    """The last event of a packed port block that was released, without unpacking it all; the far future for others.

    Raises:
        Damaged: these bytes are no port block.
    """
    try:
        _, _, allocated, released, _ = _BLOCK.unpack_from(raw)
    except struct.error as error:
        raise Damaged("damaged port block record") from error
    return released if released >= allocated else FAR_FUTURE


def decode_block(key: bytes, raw: bytes) -> PortBlockRecord:
    """Unpack a port block.

    Raises:
        Damaged: these bytes are no port block.
    """
    try:
        block = PortBlock(*_BLOCK_KEY.unpack(key))
        version, is_allocated, time, released, private = _BLOCK.unpack_from(raw)
        realm = _str(raw[_BLOCK.size :])
    except (struct.error, ValueError) as error:
        raise Damaged("damaged port block record") from error
    if version != _VERSION:
        raise Damaged("port block record of an unknown version")
    return PortBlockRecord(block, Latest(time, Ipv4Address(realm, private)) if is_allocated else None, released)


def encode_gateway(gateway: Gateway) -> bytes:
    """Pack a gateway."""
    return _GATEWAY.pack(gateway.epoch, gateway.heard) + text(gateway.nas)


def decode_gateway(raw: bytes) -> Gateway:
    """Unpack a gateway.

    Raises:
        Damaged: these bytes are no gateway.
    """
    try:
        epoch, heard = _GATEWAY.unpack_from(raw)
        return Gateway(_str(raw[_GATEWAY.size :]), epoch, heard)
    except (struct.error, ValueError) as error:
        raise Damaged("damaged gateway record") from error
