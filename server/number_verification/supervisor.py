"""The service as a whole: checks what can be checked before it starts, then keeps its processes running.

    supervisor ── worker, worker, …   gRPC and HTTP, the same port for all (SO_REUSEPORT)
               ├─ feed                RADIUS accounting, sweeps
               └─ admin listener      a thread of the supervisor

Processes are spawned, never forked: neither gRPC nor LMDB survives a fork.
"""

import logging
import multiprocessing
import os
import resource
import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from number_verification import app, backends, feeder, log, worker
from number_verification.admin import AdminServer, Probe
from number_verification.authorization.key_files import KeyFileUnusable
from number_verification.config import ConfigurationRefused, Settings
from number_verification.domain.faults import StoreUnavailable
from number_verification.listener_settings import ListenAddress, TlsSettings
from number_verification.listening import bound_address, reserve
from number_verification.onetime.store import OneTimeStore
from number_verification.registry.audit.trail import AuditTrail
from number_verification.registry.database import migrate
from number_verification.registry.sql import SqlRegistry
from number_verification.registry.store import Registry
from number_verification.rest import forms
from number_verification.sessions.feeds.radius.listener import open_socket
from number_verification.sessions.store import SessionStore

METRICS_ENVIRONMENT = "PROMETHEUS_MULTIPROC_DIR"

WATCH_SECONDS = 1.0
"""How often the feed process and the certificates are looked at."""

BACKLOG = 1024
"""Connections that wait to be accepted."""

HTTP_HEADERS = 192 * 1024
"""Bytes of a request's head. Above what any token takes, so that an oversized token is answered 401."""


class Supervisor:
    """Runs the service.

    Args:
        settings: what to run.
        on_started: called once every listener answers; with where they listen.

    Raises:
        ConfigurationRefused: a port cannot be had, or the data directory or a store cannot be used.
    """

    def __init__(self, settings: Settings, on_started: Callable[[app.Listeners], None]) -> None:
        self._settings = settings
        self._on_started = on_started
        self._metrics_dir = _fresh_metrics_dir(settings.data_dir)
        os.environ[METRICS_ENVIRONMENT] = self._metrics_dir
        self._reserved: list[socket.socket] = []
        self._radius_socket: socket.socket | None = None
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._feed: multiprocessing.process.BaseProcess | None = None
        self._stores = _usable_stores(settings)
        self._registry = _usable_registry(settings)
        self._listeners, self._admin = self._reserve()
        self._server = self._http_server()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; return when everything has drained.

        Raises:
            Exception: whatever `on_started` raised; the service has stopped then.
        """
        multiprocessing.set_start_method("spawn", force=True)
        _allow_open_files()
        self._server.on_startup(self._start_beside)
        self._server.on_shutdown(self._stop_beside)
        self._server.serve(target_loader=partial(worker.load, self._settings, self._listeners), wrap_loader=False)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Let `run` return. From any thread."""
        self._server.signal_handler_interrupt()  # type: ignore[no-untyped-call]

    def _reserve(self) -> tuple[app.Listeners, AdminServer]:
        settings = self._settings
        internal, radius, proxy = settings.internal, settings.radius, settings.origin.proxy_protocol
        faults: list[str] = []

        def tcp(name: str, address: ListenAddress) -> ListenAddress:
            try:
                self._reserved.append(reserve(address))
            except OSError as error:
                faults.append(f"{name}: {address} cannot be had: {error.strerror}")
                return address
            return bound_address(self._reserved[-1])

        http, grpc = tcp("http.listen", settings.http.listen), tcp("grpc.listen", settings.grpc.listen)
        internal_address = tcp("internal.listen", internal.listen) if internal else None
        wanted = internal.http_listen if internal else None
        internal_http = tcp("internal.http_listen", wanted) if wanted else None
        proxy_address = tcp("origin.proxy_protocol.listen", proxy.listen) if proxy else None
        radius_address = None
        if radius is not None:
            try:
                self._radius_socket = open_socket(radius.listen.host, radius.listen.port)
                radius_address = bound_address(self._radius_socket)
            except OSError as error:
                faults.append(f"radius.listen: {radius.listen} cannot be had: {error.strerror}")
        try:
            admin = AdminServer(settings.admin.listen, self._probes(), self._metrics_dir)
        except OSError as error:
            faults.append(f"admin.listen: {settings.admin.listen} cannot be had: {error.strerror}")
        if faults:
            raise ConfigurationRefused(faults)
        addresses = (http, grpc, internal_address, radius_address, admin.address, proxy_address, internal_http)
        return app.Listeners(*addresses), admin

    def _probes(self) -> dict[str, Probe]:
        sessions, one_time, audit = self._stores
        probes = {
            "session_store": sessions.probe,
            "one_time_store": one_time.probe,
            "audit": audit.probe,
            "registry": self._registry.probe,
            "feed": self._probe_feed,
            "http": lambda: _connect(self._listeners.http),
            "grpc": lambda: _connect(self._listeners.grpc),
        }
        if self._settings.internal is not None and self._settings.internal.http_listen is not None:
            probes["internal_http"] = self._probe_internal_http
        return probes

    def _probe_internal_http(self) -> None:
        if self._listeners.internal_http is not None:
            _connect(self._listeners.internal_http)

    def _probe_feed(self) -> None:
        if self._feed is None or not self._feed.is_alive():
            raise RuntimeError("the feed process is not running")

    def _http_server(self) -> MPServer:
        http, listen = self._settings.http, self._listeners.http
        tls = http.tls
        logging.getLogger("_granian").setLevel(logging.WARNING)
        return MPServer(
            "number_verification",
            address=listen.host,
            port=listen.port,
            interface=Interfaces.WSGI,
            workers=self._settings.workers,
            # Requests that wait for their turn hold a thread, and are answered 503 when the wait gets long.
            blocking_threads=http.threads + http.max_waiting + forms.PLACES,
            # Granian counts connections here, idle ones too.
            backpressure=http.max_connections,
            backlog=BACKLOG,
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=HTTP_HEADERS),
            log_enabled=False,
            respawn_failed_workers=True,
            workers_kill_timeout=int(self._settings.drain_seconds) + 5,
            ssl_cert=tls.certificate if tls else None,
            ssl_key=tls.key if tls else None,
            ssl_protocol_min=SSLProtocols.tls12,
            ssl_ca=tls.client_ca if tls else None,
            ssl_client_verify=bool(tls and tls.require_client_certificate),
        )

    def _start_beside(self) -> None:
        self._admin.start()
        self._start_feed()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        threading.Thread(target=self._announce, name="announce", daemon=True).start()

    def _stop_beside(self) -> None:
        self._stopping.set()
        if self._feed is not None:
            self._feed.terminate()
            self._feed.join(self._settings.drain_seconds + 5)
            if self._feed.is_alive():
                self._feed.kill()
        self._admin.stop()
        for store in (*self._stores, self._registry):
            store.close()
        for reserved in self._reserved:
            reserved.close()
        shutil.rmtree(self._metrics_dir, ignore_errors=True)

    def _start_feed(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._feed = context.Process(target=feeder.run, args=(self._settings, self._radius_socket), name="feed")
        self._feed.start()

    def _watch(self) -> None:
        """Start the feed again if it ended; take new certificates into service."""
        certificates = self._certificates()
        while not self._stopping.wait(WATCH_SECONDS):
            if self._server.interrupt_signal:
                # A worker that was just starting may have missed that it was told to stop.
                for each in list(self._server.wrks):
                    each.terminate()  # type: ignore[no-untyped-call]
                continue
            if self._feed is not None and not self._feed.is_alive():
                log.event("feed_ended", level="error", exit_code=self._feed.exitcode)
                self._start_feed()
            seen = self._certificates()
            if seen == certificates:
                continue
            certificates = seen
            # A certificate and its key are two files: between the writing of one and the other nothing fits.
            if all(map(_fits, self._tls())):
                log.event("certificates_changed")
                # New workers read the new files; the old ones drain.
                self._server.signal_handler_reload()  # type: ignore[no-untyped-call]
            else:
                log.event("certificates_do_not_fit", level="error")

    def _tls(self) -> list[TlsSettings]:
        listeners = (self._settings.http, self._settings.grpc, self._settings.internal)
        return [listener.tls for listener in listeners if listener and listener.tls]

    def _certificates(self) -> tuple[int, ...]:
        return tuple(_changed_at(path) for tls in self._tls() for path in _files(tls))

    def _announce(self) -> None:
        listeners = self._listeners
        beside = (listeners.internal, listeners.internal_http, listeners.proxy_protocol)
        wanted = [listeners.http, listeners.grpc, *filter(None, beside)]
        while not self._stopping.wait(0.02):
            try:
                for address in wanted:
                    _connect(address)
                self._probe_feed()
            except (OSError, RuntimeError):
                continue
            self._tell_started(listeners)
            return

    def _tell_started(self, listeners: app.Listeners) -> None:
        try:
            self._on_started(listeners)
        except Exception as exception:  # noqa: BLE001 - raised again by `run`, in the main thread
            self._failure = exception
            self.stop()


def _allow_open_files() -> None:
    """As many as the system lets us have: every connection is one, and the usual soft limit is for interactive use."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _fresh_metrics_dir(data_dir: Path) -> str:
    metrics_dir = data_dir / "metrics"
    try:
        shutil.rmtree(metrics_dir, ignore_errors=True)
        metrics_dir.mkdir(parents=True)
    except OSError as error:
        raise ConfigurationRefused([f"data_dir: {data_dir} cannot be used: {error.strerror}"]) from None
    return str(metrics_dir)


def _usable_stores(settings: Settings) -> tuple[SessionStore, OneTimeStore, AuditTrail]:
    try:
        stores = backends.session_store(settings), backends.one_time_store(settings), backends.audit_trail(settings)
        for store in stores:
            store.probe()
        backends.signing(settings)
    except (StoreUnavailable, KeyFileUnusable) as error:
        raise ConfigurationRefused([f"data_dir: {error}"]) from None
    return stores


def _usable_registry(settings: Settings) -> Registry:
    try:
        engine = backends.registry_database(settings)
        migrate(engine)
        registry = SqlRegistry(engine)
        registry.probe()
        lost = backends.consent_key_is_lost(settings, engine)
        if not lost:
            backends.consent_hash(settings)
    except StoreUnavailable as error:
        raise ConfigurationRefused([f"registry: {str(error).removeprefix('registry: ')}"]) from None
    except KeyFileUnusable as error:
        raise ConfigurationRefused([f"data_dir: {error}"]) from None
    if lost:
        raise ConfigurationRefused(["registry: it holds approvals, and data_dir lacks their key (keys/consent-key)"])
    return registry


def _connect(address: ListenAddress) -> None:
    socket.create_connection((address.host, address.port), timeout=1).close()


def _fits(tls: TlsSettings) -> bool:
    """Whether the settings would be accepted with the files as they are now."""
    try:
        TlsSettings.model_validate(tls.model_dump())
    except ValueError:
        return False
    return True


def _files(tls: TlsSettings) -> Sequence[Path]:
    return [path for path in (tls.certificate, tls.key, tls.client_ca) if path]


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
