"""The feed process: takes RADIUS accounting and keeps the stores and the audit trail, beside the workers."""

import signal
import socket
import threading

from number_verification import app, backends, log, metrics
from number_verification.config import EVENT_MEMORY, MAX_CLOCK_SKEW, MAX_EVENT_AGE, Settings
from number_verification.domain import clock
from number_verification.domain.clock import SECOND
from number_verification.domain.faults import StoreUnavailable
from number_verification.listener_settings import RadiusSettings
from number_verification.onetime.store import OneTimeStore
from number_verification.registry.audit.keeper import AuditKeeper
from number_verification.registry.audit.usage import UsageStore
from number_verification.sessions.feeds.radius.clients import RadiusClient, RadiusClients
from number_verification.sessions.feeds.radius.listener import RadiusListener
from number_verification.sessions.store import SessionStore
from number_verification.worker import end_with_parent

SWEEP_SECONDS = 1.0
SWEEP_LIMIT = 10_000
"""Entries that one sweep of the one-time store forgets at most."""

PURGE_LIMIT = 2_000
"""Sessions that one purge forgets at most, so that the feed never waits for long."""


def run(settings: Settings, radius_socket: socket.socket | None) -> None:
    """Serve until SIGTERM."""
    log.configure()
    end_with_parent(settings.drain_seconds)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    sessions, one_time = backends.session_store(settings), backends.one_time_store(settings)
    audit, usage = backends.audit_keeper(settings), backends.usage_store(settings)
    listener = _listener(settings, settings.radius, radius_socket, sessions)
    serving = threading.Thread(target=listener.serve_forever, name="radius") if listener else None
    if serving is not None:
        serving.start()
    while not stopping.wait(SWEEP_SECONDS):
        _sweep(one_time)
        _seal(audit)
        _account(audit, usage, settings.audit.keep_days)
        if serving is None:
            _purge(sessions)
        elif not serving.is_alive():
            # The supervisor starts a feed again that ended, but cannot see that one of its threads did.
            raise SystemExit(1)
    if listener is not None and serving is not None:
        listener.stop()
        serving.join()
    _seal(audit)
    audit.close()
    sessions.close()
    one_time.close()


def _listener(
    settings: Settings, radius: RadiusSettings | None, radius_socket: socket.socket | None, sessions: SessionStore
) -> RadiusListener | None:
    if radius is None or radius_socket is None:
        return None
    return RadiusListener(
        radius_socket,
        RadiusClients(
            RadiusClient(client.name, client.network, client.secret_bytes, client.require_event_timestamp)
            for client in radius.clients
        ),
        sessions,
        ip_domain=app.ip_domain_rule(settings.network),
        count=lambda outcome, number: metrics.feed_events.labels("radius", outcome).inc(number),
        max_event_age=MAX_EVENT_AGE,
        max_clock_skew=MAX_CLOCK_SKEW,
        retention=EVENT_MEMORY,
        purge_interval=SECOND,
        purge_limit=PURGE_LIMIT,
    )


def _sweep(one_time: OneTimeStore) -> None:
    try:
        one_time.purge(SWEEP_LIMIT)
    except StoreUnavailable as fault:
        log.fault("sweep_failed", fault)


def _seal(audit: AuditKeeper) -> None:
    try:
        audit.seal()
    except StoreUnavailable as fault:
        log.fault("audit_not_sealed", fault, message=str(fault))


def _account(audit: AuditKeeper, usage: UsageStore, keep_days: int) -> None:
    try:
        audit.account(usage, keep_days)
    except StoreUnavailable as fault:
        log.fault("usage_not_counted", fault, message=str(fault))


def _purge(sessions: SessionStore) -> None:
    try:
        sessions.purge(clock.now() - EVENT_MEMORY, PURGE_LIMIT)
    except StoreUnavailable as fault:
        log.fault("purge_failed", fault)
