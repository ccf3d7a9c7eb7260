"""The concrete backends: the only place that picks them. Each process of the service opens those that it needs."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Engine

from number_verification.authorization.id_token import load_salt
from number_verification.authorization.signing_keys import SigningKeys
from number_verification.config import Settings, seconds
from number_verification.domain import clock
from number_verification.domain.approval import Approvals
from number_verification.domain.onboarding.usage import UsageReading
from number_verification.onetime.lmdb import LmdbOneTimeStore
from number_verification.onetime.store import OneTimeStore
from number_verification.registry.allowances import SqlAllowances
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.approvals import SqlApprovals
from number_verification.registry.audit.keeper import AuditKeeper
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.trail import AuditTrail
from number_verification.registry.database import open_database
from number_verification.registry.recent_endings import RecentEndings
from number_verification.registry.snapshot import Snapshot
from number_verification.registry.sql import SqlRegistry
from number_verification.registry.store import Allowances, Registry
from number_verification.registry.subscriber_hash import has_consent_key, load_consent_key, subscriber_hash
from number_verification.registry.usage import SqlUsage
from number_verification.sessions.lmdb import LmdbSessionStore
from number_verification.sessions.store import SessionStore

REGISTRY = "registry.db"
"""The file of the embedded registry."""


def session_store(settings: Settings) -> SessionStore:
    """The session store that is configured."""
    return LmdbSessionStore(settings.data_dir / "sessions", settings.store.session_megabytes << 20)


def one_time_store(settings: Settings) -> OneTimeStore:
    """The one-time store that is configured."""
    return LmdbOneTimeStore(settings.data_dir / "one-time", settings.store.one_time_megabytes << 20, clock.now)


def registry_database(settings: Settings) -> Engine:
    """The database of the registry that is configured."""
    configured = settings.registry
    return open_database(configured.url or f"sqlite:///{settings.data_dir / REGISTRY}", configured.password)


def usage_store(settings: Settings) -> SqlUsage:
    """Where usage is summed up."""
    return SqlUsage(registry_database(settings))


def signing(settings: Settings) -> tuple[SigningKeys, bytes]:
    """Our signing keys, and the salt of pairwise subjects. They are made where there are none yet.

    Raises:
        KeyFileUnusable: they cannot be kept, or what is kept cannot be used.
    """
    directory = settings.data_dir / "keys"
    keys = SigningKeys(directory, rotate_after=seconds(settings.tokens.signing_key_days * 86_400))
    return keys, load_salt(directory)


def consent_hash(settings: Settings) -> Callable[[str], bytes]:
    """What approvals know subscribers by.

    Raises:
        KeyFileUnusable: its key cannot be kept, or what is kept cannot be used.
    """
    return subscriber_hash(load_consent_key(settings.data_dir / "keys"))


def consent_key_is_lost(settings: Settings, engine: Engine) -> bool:
    """Whether approvals are on record and what they know subscribers by is not there.

    With a new key nobody's objection would be found any more, and nobody would notice.

    Raises:
        StoreUnavailable: that cannot be told.
        KeyFileUnusable: the key cannot be read.
    """
    return not has_consent_key(settings.data_dir / "keys") and SqlApprovalRecords(engine, clock.now).change() > 0


def number_keys(settings: Settings) -> NumberKeys:
    """What phone numbers are marked with in audit records."""
    return NumberKeys(settings.data_dir / "keys", settings.audit.key_days)


def audit_trail(settings: Settings) -> AuditTrail:
    """Where this process writes its audit records.

    Raises:
        StoreUnavailable: nothing could be written there.
    """
    return AuditTrail(settings.data_dir / "audit", number_keys(settings))


def audit_keeper(settings: Settings) -> AuditKeeper:
    """What seals, counts and purges the audit trail, for the one process that does so."""
    data_dir = settings.data_dir
    return AuditKeeper(data_dir / "audit", data_dir / "keys", number_keys(settings), clock.now)


class Backends(NamedTuple):
    """What one worker process keeps open."""

    sessions: SessionStore
    one_time: OneTimeStore
    registry: Registry
    snapshot: Snapshot
    allowances: Allowances
    usage: UsageReading
    records: SqlApprovalRecords
    recent_endings: RecentEndings
    approvals: Approvals
    consent_hash: Callable[[str], bytes]
    audit: AuditTrail
    keys: SigningKeys
    salt: bytes

    def start(self) -> None:
        """Begin to follow the registry."""
        self.snapshot.start()
        self.recent_endings.start()

    def close(self) -> None:
        """Release what the stores hold."""
        self.snapshot.stop()
        self.recent_endings.stop()
        for store in (self.records, self.registry, self.sessions, self.one_time, self.audit):
            store.close()


def open_backends(settings: Settings) -> Backends:
    """Open everything that a worker needs.

    Raises:
        StoreUnavailable: a store cannot be used.
        KeyFileUnusable: keys cannot be kept, or what is kept cannot be used.
    """
    engine = registry_database(settings)
    registry, records = SqlRegistry(engine), SqlApprovalRecords(engine, clock.now)
    keys, salt = signing(settings)
    hashed = consent_hash(settings)
    poll, stale_after = settings.registry.poll_seconds, settings.registry.stale_after_seconds
    recent = RecentEndings(records, clock=clock.now, poll_interval=poll, stale_after=stale_after)
    return Backends(
        session_store(settings),
        one_time_store(settings),
        registry,
        Snapshot(registry, poll_seconds=poll, stale_after=stale_after),
        SqlAllowances(engine),
        SqlUsage(engine),
        records,
        recent,
        SqlApprovals(records, recent, hashed),
        hashed,
        audit_trail(settings),
        keys,
        salt,
    )
