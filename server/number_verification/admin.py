"""The admin listener: whether the service is alive and ready, and what it counted."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from number_verification import log
from number_verification.listener_settings import ListenAddress

Probe = Callable[[], None]
"""Raises if what it looks at is not usable."""

PROBES_LAST = 1.0
"""Seconds for which the outcome of the probes is kept: whoever asks often costs no more than who asks seldom."""


class AdminServer:
    """Serves `/healthz`, `/readyz` and `/metrics`.

    Args:
        address: where to listen; port 0 for any free one.
        probes: what must be usable for the service to be ready, by name.
        metrics_dir: where the processes count.
    """

    def __init__(self, address: ListenAddress, probes: Mapping[str, Probe], metrics_dir: str) -> None:
        self._probes = probes
        self._metrics_dir = metrics_dir
        self._guard = threading.Lock()
        self._outcome: tuple[float, dict[str, str]] = (-PROBES_LAST, {})
        self._server = ThreadingHTTPServer((address.host, address.port), _handler(self))
        self._server.daemon_threads = True
        host, port = self._server.server_address[:2]
        self.address = ListenAddress(host=str(host), port=int(port))

    def start(self) -> None:
        """Begin to serve."""
        threading.Thread(target=self._server.serve_forever, name="admin", daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, media type and body for a path."""
        match path.partition("?")[0]:
            case "/healthz":
                return 200, "application/json", b'{"status":"alive"}'
            case "/readyz":
                failing = self._failing()
                content = {"status": "not ready" if failing else "ready", "failing": failing}
                return (503 if failing else 200), "application/json", json.dumps(content).encode()
            case "/metrics":
                registry = CollectorRegistry()
                MultiProcessCollector(registry, self._metrics_dir)  # type: ignore[no-untyped-call]
                return 200, CONTENT_TYPE_LATEST, generate_latest(registry)
            case _:
                return 404, "application/json", b'{"status":"no such path"}'

    def _failing(self) -> dict[str, str]:
        with self._guard:
            if time.monotonic() - self._outcome[0] < PROBES_LAST:
                return self._outcome[1]
            failing = {}
            for name, probe in self._probes.items():
                try:
                    probe()
                except Exception as exception:  # noqa: BLE001 - whatever it is, the service is not ready
                    failing[name] = type(exception).__name__
                    log.fault("not_ready", exception, probe=name, message=str(exception))
            self._outcome = (time.monotonic(), failing)
            return failing


def _handler(admin: AdminServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10

        def do_GET(self) -> None:
            status, media_type, body = admin.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Write nothing: probes come every few seconds."""

    return Handler
