"""The service by its own configuration: `serve --config`."""

import hashlib
import json
import secrets
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from functional.registered import application, customer, register
from functional.service import SCRIPT, Service

SECRET = "a secret for gateways on loopback only"
SERVICE_TOKEN = "a-service-token-of-the-tests"
APN = "internet"
REDIRECT_URI = "http://127.0.0.1:9999/callback"


def with_staff(setup: "Setup") -> None:
    """Have the operator's staff call the internal services, also by REST, as a sandbox has."""
    key, http = key_pair(), f"127.0.0.1:{free_ports(1)[0]}"
    setup.content["internal"]["http_listen"] = http
    setup.content["internal"]["services"].append({"name": "staff", "roles": ["operator-staff"], "jwks": public(key)})
    setup.description["internal"] = {
        "listener": setup.internal,
        "api_root": f"http://{http}",
        "client_id": "staff",
        "private_jwk": key,
    }


def free_ports(number: int) -> list[int]:
    """Ports of which nobody makes use now, for TCP and for UDP.

    They lie below those that outgoing connections take on Linux: one of these would be gone before it is listened on.
    """
    found: list[int] = []
    while len(found) < number:
        port = 20_000 + secrets.randbelow(12_768)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp, suppress(OSError):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found


def key_pair() -> dict[str, Any]:
    """A private JWK."""
    key = ECKey.generate_key("P-256", auto_kid=True)
    return {**key.as_dict(private=True), "alg": "ES256", "use": "sig"}


def public(*private: Mapping[str, Any]) -> dict[str, Any]:
    """The public halves, as a JWK set."""
    return {"keys": [{name: value for name, value in jwk.items() if name != "d"} for jwk in private]}


class Setup:
    """A configuration that is safe and complete, to be changed; and what `sandbox.json` would say of it."""

    def __init__(self, data_dir: Path) -> None:
        self.keys = [key_pair(), key_pair()]
        self.issuer_key = key_pair()
        http, grpc, internal, radius, admin = free_ports(5)
        self.issuer = f"http://127.0.0.1:{http}"
        self.internal = f"127.0.0.1:{internal}"
        self.content: dict[str, Any] = {
            "data_dir": str(data_dir),
            "issuer": self.issuer,
            "drain_seconds": 3,
            "http": {"listen": f"127.0.0.1:{http}"},
            "grpc": {"listen": f"127.0.0.1:{grpc}"},
            "internal": {
                "listen": self.internal,
                "services": [
                    {
                        "name": "core",
                        "roles": ["session-feed", "session-read"],
                        "token_sha256": hashlib.sha256(SERVICE_TOKEN.encode()).hexdigest(),
                    }
                ],
            },
            "radius": {
                "listen": f"127.0.0.1:{radius}",
                "clients": [
                    {
                        "name": "loopback",
                        "network": "127.0.0.0/8",
                        "secret": SECRET,
                        "require_event_timestamp": False,
                    }
                ],
            },
            "admin": {"listen": f"127.0.0.1:{admin}"},
            "network": {"direct": [{"network": "127.0.0.0/8"}], "apns": [APN]},
            "store": {"session_megabytes": 16, "one_time_megabytes": 16},
            "external_issuers": [
                {
                    "issuer": "https://idp.example",
                    "audience": self.issuer,
                    "jwks": public(self.issuer_key),
                    "algorithms": ["ES256"],
                }
            ],
        }
        self.registered = customer(
            *(
                application(index, public(key), [REDIRECT_URI, f"{REDIRECT_URI}?with=query"])
                for index, key in enumerate(self.keys)
            )
        )
        """What the registry holds when the service starts."""
        self.description: dict[str, Any] = {
            "issuer": self.issuer,
            "api_root": self.issuer,
            "grpc": f"127.0.0.1:{grpc}",
            "admin": f"http://127.0.0.1:{admin}",
            "radius": {"address": f"127.0.0.1:{radius}", "secret": SECRET, "apn": APN},
            "clients": [
                {
                    "name": f"client-{index}",
                    "client_id": f"client-{index}",
                    "private_jwk": self.keys[index],
                    "redirect_uri": REDIRECT_URI,
                }
                for index in range(2)
            ],
            "devices": [],
            "external_issuer": {
                "issuer": "https://idp.example",
                "audience": self.issuer,
                "private_jwk": self.issuer_key,
            },
        }


def toml(content: Mapping[str, Any]) -> str:
    """A configuration as a file."""
    return "".join(f"{name} = {_value(value)}\n" for name, value in content.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(name)} = {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    # Strings without control characters, numbers and booleans are written alike in JSON and TOML.
    return json.dumps(value)


def start_service(directory: Path, setup: Setup) -> Service:
    """Start it and wait until it is ready."""
    config, log_path = directory / "config.toml", directory / "log"
    url = setup.content.get("registry", {}).get("url")
    register(url or Path(setup.content["data_dir"]), setup.registered)
    config.write_text(toml(setup.content))
    with log_path.open("ab") as log:
        process = subprocess.Popen([SCRIPT, "serve", "--config", config], stderr=log, stdout=log)
    service = Service(directory, log_path, process, setup.description)
    service.wait_until_ready()
    return service


@contextmanager
def running_service(directory: Path, setup: Setup) -> Iterator[Service]:
    """A service that is stopped in the end, and stops cleanly."""
    started = start_service(directory, setup)
    try:
        yield started
    finally:
        started.finish()


def refused_start(directory: Path, content: Mapping[str, Any]) -> str:
    """Start with a configuration that must be refused. Returns what was said."""
    config = directory / "config.toml"
    config.write_text(toml(content))
    done = subprocess.run(
        [SCRIPT, "serve", "--config", config], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("refused to start\n")
    return done.stderr
