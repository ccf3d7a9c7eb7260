"""HAProxy and Envoy with the configurations that docs/examples hold."""

import csv
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from interop.device import Device
from interop.programs import LOOPBACK, LOOPBACK_IPV6, ROOT, envoy, free_port, program, running

EXAMPLES = ROOT / "docs" / "examples"
DISCOVERY = "/.well-known/openid-configuration"


class Proxy(NamedTuple):
    """A proxy that passes requests on."""

    port: int
    """Where it listens, on both loopback addresses."""
    finds_service_healthy: Callable[[], bool]
    """Whether its own health check of the service has succeeded by now."""


@contextmanager
def proxy(example: str, directory: Path, *, source: str, upstream: str) -> Iterator[Proxy]:
    """Run a proxy.

    Args:
        example: the name of the configuration, which says whose it is.
        directory: for what it writes.
        source: the address from which it calls the service.
        upstream: `HOST:PORT` of the service.
    """
    host, _, upstream_port = upstream.rpartition(":")
    port, admin_port = free_port(), free_port()
    variables = {
        "LISTEN_IPV4": LOOPBACK,
        "LISTEN_IPV6": LOOPBACK_IPV6,
        "LISTEN_PORT": str(port),
        "SERVICE_ADDRESS": host,
        "SERVICE_PORT": upstream_port,
        "PROXY_ADDRESS": source,
    }
    configuration = EXAMPLES / example
    if configuration.suffix == ".cfg":
        # Beside the example, which stays as it is.
        more = directory / "admin.cfg"
        more.write_text(f"global\n    stats socket {LOOPBACK}:{admin_port} level user\n")
        command: list[str | Path] = [program("haproxy"), "-db", "-f", configuration, "-f", more]
        health = _haproxy_health
    else:
        address = {"socket_address": {"address": LOOPBACK, "port_value": admin_port}}
        command = envoy(configuration, directory, variables, json.dumps({"admin": {"address": address}}))
        health = _envoy_health
    with running(command, directory / "log", f"http://{LOOPBACK}:{port}{DISCOVERY}", variables):
        yield Proxy(port, lambda: health(admin_port))


def _haproxy_health(port: int) -> bool:
    with socket.create_connection((LOOPBACK, port), 5) as admin:
        admin.sendall(b"show stat\n")
        with admin.makefile() as answer:
            rows = list(csv.DictReader(answer))
    return any(row["svname"] == "one" and row["check_status"] == "L7OK" for row in rows)


def _envoy_health(port: int) -> bool:
    name = "cluster.service.health_check.success"
    stats = Device(LOOPBACK).get(f"http://{LOOPBACK}:{port}/stats?format=json&filter={name}").json["stats"]
    return any(stat["name"] == name and stat["value"] > 0 for stat in stats)
