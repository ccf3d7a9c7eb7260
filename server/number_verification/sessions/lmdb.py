"""The embedded session store: LMDB, one directory, any number of processes and threads.

Every `record` is one write transaction, and its commit is synced: what is acknowledged is on disk, and a batch shares
the cost of one sync. Readers see a snapshot; writers never wait for them, nor they for writers.
"""

from __future__ import annotations

import heapq
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import lmdb

from number_verification.domain import clock
from number_verification.domain.attribution import Sighting, holds
from number_verification.domain.clock import Milliseconds
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.session import (
    Event,
    GatewayRestart,
    Ipv4Address,
    Ipv6Prefix,
    PortBlock,
    PortBlockAllocated,
    PortBlockRecord,
    PortBlockReleased,
    SessionEvent,
    SessionKey,
    SessionRecord,
    extended,
    joined_block,
)
from number_verification.lmdb_environment import fault, in_chunks, keep_room, open_environment, sweep
from number_verification.sessions import codec
from number_verification.sessions.codec import Gateway

if TYPE_CHECKING:
    from lmdb import _Database as Database

    Transaction: TypeAlias = lmdb.Transaction[bytes]
    _Forget: TypeAlias = Callable[[Transaction, bytes, Milliseconds, int], int]

_FORMAT: Final = b"sessions 1"
_NAS_ID: Final = struct.Struct(">I")

_CLAIMANTS_CONSIDERED: Final = 1_000
"""On an address with more sessions than this, no purge looks at them all: a gateway reports it that assigns none."""

# Entries of the sub-database "meta".
_FORMAT_KEY: Final = b"format"
_PROBE_KEY: Final = b"probe"
_IPV6_LENGTHS_KEY: Final = b"ipv6 prefix lengths"
_LONGEST_BLOCK_KEY: Final = b"longest port block "


class LmdbSessionStore:
    """A `SessionStore` in a directory of its own, for one instance per process.

    Args:
        path: the directory; its parent must exist.
        map_size: how many bytes it may grow to, the same in all processes.

    Raises:
        StoreUnavailable: the directory is missing, unreadable, not writable or holds something else.
    """

    def __init__(self, path: Path, map_size: int) -> None:
        self._path = path
        self._environment = open_environment(path, map_size, max_dbs=6)
        try:
            with self._writing() as txn:
                self._meta = self._environment.open_db(b"meta", txn)
                self._gateways = self._environment.open_db(b"gateways", txn)
                self._nas_ids = self._environment.open_db(b"nas ids", txn)
                self._sessions = self._environment.open_db(b"sessions", txn)
                self._claims = self._environment.open_db(b"claims", txn)
                self._blocks = self._environment.open_db(b"port blocks", txn)
                _agree_on_format(txn, self._meta)
        except StoreUnavailable:
            self._environment.close()
            raise
        self._databases = (self._sessions, self._claims, self._blocks, self._gateways, self._nas_ids, self._meta)
        self._map_size = self._environment.info()["map_size"]
        self._sessions_seen = self._blocks_seen = b""

    def record(self, events: Sequence[Event], received: Milliseconds) -> None:
        """See `SessionStore.record`."""
        with self._writing() as txn:
            gateways = _Gateways(txn, self._nas_ids, self._gateways)
            for event in events:
                if isinstance(event, SessionEvent):
                    self._record_session(txn, gateways.heard_id(event.key.nas), event)
                elif isinstance(event, GatewayRestart):
                    gateways.restart(event)
                else:
                    self._record_block(txn, event)
            gateways.write(received)
            keep_room(txn, self._databases, self._map_size, len(events))

    def _record_session(self, txn: Transaction, nas_id: bytes, event: SessionEvent) -> None:
        raw_id = codec.key_text(event.key.session_id)
        key = nas_id + raw_id
        raw = txn.get(key, None, self._sessions)
        stored = codec.decode_session(event.key.nas, raw_id, raw) if raw is not None else None
        claimed = len(stored.claims) if stored is not None else 0
        stored = codec.with_event(stored, event)
        changed = codec.encode_session(stored)
        if changed == raw:
            # A repetition: nothing to write, nothing to sync.
            return
        txn.put(key, changed, db=self._sessions)
        if len(stored.claims) > claimed:
            # New claims stand at the end.
            new = list(stored.claims)[claimed:]
            for address in new:
                txn.put(codec.address_key(address) + key, b"", db=self._claims)
            self._note_ipv6_lengths(txn, {address.length for address in new if isinstance(address, Ipv6Prefix)})

    def _note_ipv6_lengths(self, txn: Transaction, lengths: set[int]) -> None:
        if lengths:
            known = txn.get(_IPV6_LENGTHS_KEY, b"", self._meta)
            if not lengths.issubset(known):
                txn.put(_IPV6_LENGTHS_KEY, bytes(sorted(lengths.union(known))), db=self._meta)

    def _record_block(self, txn: Transaction, event: PortBlockAllocated | PortBlockReleased) -> None:
        key = codec.block_key(event.block)
        raw = txn.get(key, None, self._blocks)
        if raw is None:
            self._note_block_length(txn, event.block)
        record = joined_block(codec.decode_block(key, raw) if raw is not None else None, event)
        txn.put(key, codec.encode_block(record), db=self._blocks)

    def _note_block_length(self, txn: Transaction, block: PortBlock) -> None:
        length = block.last_port - block.first_port + 1
        if length > self._longest_block(txn, block.public_address):
            txn.put(_LONGEST_BLOCK_KEY + block.public_address, length.to_bytes(4, "big"), db=self._meta)

    def _longest_block(self, txn: Transaction, public_address: bytes) -> int:
        return int.from_bytes(txn.get(_LONGEST_BLOCK_KEY + public_address, b"", self._meta), "big")

    def sightings(self, address: Ipv4Address | bytes) -> Sequence[Sighting]:
        """See `SessionStore.sightings`."""
        with self._reading() as txn:
            if isinstance(address, Ipv4Address):
                return list(self._sightings(txn, address))
            # A session may claim prefixes that contain one another.
            merged: dict[SessionKey, Sighting] = {}
            for length in txn.get(_IPV6_LENGTHS_KEY, b"", self._meta):
                for sighting in self._sightings(txn, codec.prefix_of(address, length)):
                    key = sighting.session.key
                    merged[key] = _merged(merged[key], sighting) if key in merged else sighting
            return list(merged.values())

    def _sightings(self, txn: Transaction, address: Ipv4Address | Ipv6Prefix) -> Iterator[Sighting]:
        for key in self._claimants(txn, codec.address_key(address)):
            raw = txn.get(key, None, self._sessions)
            gateway = txn.get(key[: _NAS_ID.size], None, self._gateways)
            if raw is None or gateway is None:
                raise codec.Damaged("claim of no session")
            nas, epoch, heard = codec.decode_gateway(gateway)
            session, claims = codec.decode_session(nas, key[_NAS_ID.size :], raw)
            yield Sighting(session, claims[address], holds(session, address, epoch), epoch, heard)

    def _claimants(self, txn: Transaction, claim: bytes) -> Iterator[bytes]:
        """The keys of the sessions that were seen with an address."""
        with txn.cursor(self._claims) as cursor:
            cursor.set_range(claim)
            while (key := cursor.key()).startswith(claim):
                yield key[len(claim) :]
                cursor.next()

    def port_blocks(self, public_address: bytes, port: int) -> Sequence[PortBlockRecord]:
        """See `SessionStore.port_blocks`."""
        with self._reading() as txn:
            return self._overlapping(txn, PortBlock(public_address, port, port))

    def _overlapping(self, txn: Transaction, block: PortBlock) -> list[PortBlockRecord]:
        """The blocks that share a port with this one, itself included."""
        found = []
        address, first_port, last_port = block
        lowest = max(0, first_port - self._longest_block(txn, address) + 1)
        with txn.cursor(self._blocks) as cursor:
            cursor.set_range(codec.block_key(PortBlock(address, lowest, 0)))
            while (key := cursor.key()).startswith(address):
                record = codec.decode_block(key, cursor.value())
                if record.block.first_port > last_port:
                    break
                if record.block.last_port >= first_port:
                    found.append(record)
                cursor.next()
        return found

    def session(self, key: SessionKey) -> SessionRecord | None:
        """See `SessionStore.session`."""
        with self._reading() as txn:
            nas_id = txn.get(codec.nas_key(key.nas), None, self._nas_ids)
            if nas_id is None:
                return None
            raw_id = codec.key_text(key.session_id)
            raw = txn.get(nas_id + raw_id, None, self._sessions)
            return codec.decode_session(key.nas, raw_id, raw).record if raw is not None else None

    def sessions(self, after: SessionKey | None, limit: int, nas: str | None = None) -> Sequence[SessionRecord]:
        """See `SessionStore.sessions`. Nothing comes after the key of a gateway that was never heard of."""
        found: list[SessionRecord] = []
        names: dict[bytes, str] = {}
        with self._reading() as txn, txn.cursor(self._sessions) as cursor:
            only = start = b""
            if nas is not None:
                only = start = txn.get(codec.nas_key(nas), b"", self._nas_ids)
            if after is not None:
                after_id = txn.get(codec.nas_key(after.nas), b"", self._nas_ids)
                # The least key that is greater.
                start = max(start, after_id + codec.key_text(after.session_id) + b"\0" if after_id else b"\xff" * 8)
            if nas is not None and not only:
                return found
            cursor.set_range(start)
            while len(found) < limit and (key := cursor.key()) and key.startswith(only):
                nas_id = key[: _NAS_ID.size]
                if nas_id not in names:
                    names[nas_id] = codec.decode_gateway(txn.get(nas_id, b"", self._gateways)).nas
                found.append(codec.decode_session(names[nas_id], key[_NAS_ID.size :], cursor.value()).record)
                cursor.next()
        return found

    def purge(self, before: Milliseconds, limit: int) -> int:
        """See `SessionStore.purge`. One call looks at a part of the store, and the next one goes on from there."""
        with self._reading() as txn:
            # Readers that were killed keep old pages from being used again.
            self._environment.reader_check()
            old, self._sessions_seen = sweep(
                txn, self._sessions, self._sessions_seen, lambda raw: codec.last_seen(raw) < before, limit
            )
        forgotten = in_chunks(old, limit, lambda keys, left: self._forget(keys, left, before, self._forget_session))
        limit -= forgotten
        with self._reading() as txn:
            released, self._blocks_seen = sweep(
                txn, self._blocks, self._blocks_seen, lambda raw: codec.over_since(raw) < before, limit
            )
        forgotten += in_chunks(released, limit, lambda keys, left: self._forget(keys, left, before, self._forget_block))
        return forgotten

    def _forget(self, keys: Sequence[bytes], limit: int, before: Milliseconds, forget: _Forget) -> int:
        forgotten = 0
        with self._writing() as txn:
            for key in keys:
                forgotten += forget(txn, key, before, limit - forgotten)
            if len(keys) > 1:
                keep_room(txn, self._databases, self._map_size, forgotten)
        return forgotten

    def _forget_session(self, txn: Transaction, key: bytes, before: Milliseconds, limit: int) -> int:
        """Forget a session, and first the older ones on its addresses.

        A session without an end is over when a later one was seen on its address. Were the later one forgotten first,
        the earlier would come back to life.
        """
        forgotten = 0
        stack = [key]
        while stack and forgotten < limit:
            key = stack[-1]
            raw = txn.get(key, None, self._sessions)
            if raw is None or (seen := codec.last_seen(raw)) >= before:
                stack.pop()
                continue
            claims = [
                codec.address_key(address) for address in codec.decode_session("", key[_NAS_ID.size :], raw).claims
            ]
            older = self._older(txn, claims, seen)
            if older is not None:
                stack.append(older)
                continue
            for claim in claims:
                txn.delete(claim + key, db=self._claims)
            txn.delete(key, db=self._sessions)
            forgotten += 1
            stack.pop()
        return forgotten

    def _older(self, txn: Transaction, claims: Sequence[bytes], seen: Milliseconds) -> bytes | None:
        """A session on one of these addresses whose last event is older."""
        for claim in claims:
            for key in islice(self._claimants(txn, claim), _CLAIMANTS_CONSIDERED):
                raw = txn.get(key, None, self._sessions)
                if raw is not None and codec.last_seen(raw) < seen:
                    return key
        return None

    def _forget_block(self, txn: Transaction, key: bytes, before: Milliseconds, limit: int) -> int:
        """Forget a released block, and first those whose own release was lost but which it shows to be over."""
        raw = txn.get(key, None, self._blocks)
        if raw is None or (over := codec.over_since(raw)) >= before:
            return 0
        doomed = {codec.decode_block(key, raw).block: over}
        for later in (pending := list(doomed)):
            for record in self._overlapping(txn, later):
                if record.block not in doomed and (last := _last_event(record)) <= doomed[later]:
                    doomed[record.block] = last
                    pending.append(record.block)
        oldest = heapq.nsmallest(limit, doomed, key=doomed.__getitem__)
        for block in oldest:
            txn.delete(codec.block_key(block), db=self._blocks)
        return len(oldest)

    def probe(self) -> None:
        """See `SessionStore.probe`."""
        written = clock.now().to_bytes(8, "big")
        with self._writing() as txn:
            txn.put(_PROBE_KEY, written, db=self._meta)
            # With room for one more event, or `record` would refuse it.
            keep_room(txn, self._databases, self._map_size, 2)
        with self._reading() as txn:
            if txn.get(_PROBE_KEY, None, self._meta) is None:
                raise StoreUnavailable(f"{self._path}: what was written cannot be read")

    def close(self) -> None:
        """See `SessionStore.close`."""
        self._environment.close()

    @contextmanager
    def _writing(self) -> Iterator[Transaction]:
        """A write transaction: all of it is committed, or nothing."""
        try:
            with self._environment.begin(write=True) as txn:
                yield txn
        except lmdb.Error as error:
            raise fault(error, self._path) from error
        except codec.Damaged as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error

    @contextmanager
    def _reading(self) -> Iterator[Transaction]:
        """A snapshot."""
        try:
            with self._environment.begin() as txn:
                yield txn
        except lmdb.Error as error:
            raise fault(error, self._path) from error
        except codec.Damaged as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error


def _agree_on_format(txn: Transaction, meta: Database) -> None:
    if txn.get(_FORMAT_KEY, _FORMAT, meta) != _FORMAT:
        raise codec.Damaged("written by another version")
    txn.put(_FORMAT_KEY, _FORMAT, db=meta)


class _Gateways:
    """The gateways that one batch speaks of: each is read once and written once."""

    def __init__(self, txn: Transaction, nas_ids: Database, gateways: Database) -> None:
        self._txn, self._nas_ids, self._gateways = txn, nas_ids, gateways
        self._ids: dict[str, bytes] = {}
        self._epochs: dict[str, Milliseconds] = {}

    def heard_id(self, nas: str) -> bytes:
        """The short number that stands for a gateway in keys; given to it now if it is new."""
        nas_id = self._ids.get(nas)
        if nas_id is None:
            name = codec.nas_key(nas)
            nas_id = self._txn.get(name, None, self._nas_ids)
            if nas_id is None:
                nas_id = self._next_id()
                self._txn.put(name, nas_id, db=self._nas_ids)
                self._txn.put(nas_id, codec.encode_gateway(Gateway(nas, epoch=0, heard=0)), db=self._gateways)
            self._ids[nas] = nas_id
            self._epochs[nas] = codec.decode_gateway(self._txn.get(nas_id, b"", self._gateways)).epoch
        return nas_id

    def _next_id(self) -> bytes:
        with self._txn.cursor(self._gateways) as cursor:
            last = _NAS_ID.unpack(cursor.key())[0] if cursor.last() else 0
        return _NAS_ID.pack(last + 1)

    def restart(self, event: GatewayRestart) -> None:
        """Move the gateway's epoch."""
        self.heard_id(event.nas)
        self._epochs[event.nas] = max(self._epochs[event.nas], event.time)

    def write(self, received: Milliseconds) -> None:
        """Write down what is known of them now.

        The time of arrival replaces an earlier one even if that was greater: the clock may have been put right.
        """
        for nas, nas_id in self._ids.items():
            gateway = Gateway(nas, self._epochs[nas], received)
            self._txn.put(nas_id, codec.encode_gateway(gateway), db=self._gateways)


def _merged(one: Sighting, other: Sighting) -> Sighting:
    claim = extended(extended(one.claim, other.claim.first), other.claim.last)
    return one._replace(claim=claim, held=one.held or other.held)


def _last_event(record: PortBlockRecord) -> Milliseconds:
    return max(record.released, record.allocated.time if record.allocated is not None else 0)
