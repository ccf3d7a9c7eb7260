"""The listener: bounded in threads, in what waits for them and in connections; slow clients are cut off.

A second HTTP server beside Granian, because that one is a manager of processes for one application on one port, and its
reads cannot be cut short (docs/decisions/0006-internal-rest.md).
"""

import math
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from cheroot.wsgi import Server

from number_verification import log, metrics
from number_verification.internal_http.connection import Connection, Gateway
from number_verification.internal_http.tls import TlsAdapter
from number_verification.listener_settings import InternalSettings, ListenAddress
from number_verification.rest.http import Environ, StartResponse

Application: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]

PATIENCE = 10.0
"""Seconds in which a handshake and a request must have come, and again in which an answer must have been taken."""

IDLE = 60.0
"""Seconds for which a connection may stand without a request."""

MAX_CONNECTIONS = 1024
"""Connections of a worker that wait for their next request."""

MAX_HEAD = 192 * 1024
"""Bytes of a request's head: as on the public listener, above what any token takes."""

BACKLOG = 1024


class InternalHttpServer:
    """One listener of one worker.

    Args:
        settings: how it listens; its threads and waiting calls are as many as those of gRPC.
        address: where it listens, with the port that was reserved.
        application: what it serves (PEP 3333).
        patience: seconds that a client has for each step.
        idle: seconds that it may stay without a request.
    """

    def __init__(
        self,
        settings: InternalSettings,
        address: ListenAddress,
        application: Application,
        *,
        patience: float = PATIENCE,
        idle: float = IDLE,
    ) -> None:
        self._server = _Server(settings, address, application, patience, idle)

    def start(self) -> None:
        """Begin to serve.

        Raises:
            OSError: the address cannot be had.
        """
        self._server.prepare()
        threading.Thread(target=self._server.serve, name="internal-http", daemon=True).start()

    def stop(self, grace: float) -> None:
        """Take no more requests, let what runs finish within `grace` seconds, end the rest."""
        self._server.ends_at = time.monotonic() + grace
        self._server.shutdown_timeout = grace + 1
        self._server.stop()


class _Server(Server):
    ConnectionClass = Connection
    max_request_header_size = MAX_HEAD
    keep_alive_conn_limit = MAX_CONNECTIONS

    def __init__(
        self,
        settings: InternalSettings,
        address: ListenAddress,
        application: Application,
        patience: float,
        idle: float,
    ) -> None:
        super().__init__(
            (address.host, address.port),
            application,
            numthreads=settings.threads,
            max=settings.threads,
            server_name="number-verification",
            request_queue_size=BACKLOG,
            timeout=idle,  # type: ignore[arg-type]  # it is compared, and nothing more
            accepted_queue_size=settings.max_waiting,
            accepted_queue_timeout=0,
            reuse_port=True,
        )
        self.gateway = Gateway
        self.patience = patience
        self.ends_at = math.inf
        self.ssl_adapter = TlsAdapter(settings.tls) if settings.tls is not None else None

    def process_conn(self, conn: Connection) -> None:
        """Give a connection to a thread once it says something; turn it away where there is no room."""
        if conn.last_used is None:
            if self.can_add_keepalive_connection:
                self._connections.put(conn)  # type: ignore[attr-defined]  # not in the stubs
            else:
                self._turn_away(conn)
            return
        try:
            self.requests.put(conn)
        except queue.Full:
            self._turn_away(conn)

    def _turn_away(self, conn: Connection) -> None:
        metrics.overload.labels("rest").inc()
        conn.turn_away()

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Write down faults; what cheroot has to say of clients, and of what they sent, is not for the log."""
        exception: Any = sys.exc_info()[1]
        if traceback and exception is not None:
            log.fault("internal_http_fault", exception)
