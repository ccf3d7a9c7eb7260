"""Starting the sandbox, and telling others how to reach it."""

import fcntl
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from number_verification import app
from number_verification.backends import REGISTRY
from number_verification.config import ConfigurationRefused, Settings, parse
from number_verification.domain.application import LegalBasis
from number_verification.listener_settings import ListenAddress
from number_verification.listening import with_port
from number_verification.sandbox import devices, keys
from number_verification.sandbox.core import RADIUS_CLIENT, MobileCore
from number_verification.sandbox.onboarding import OPERATOR_STAFF, Client, Onboarding, onboard_all
from number_verification.sandbox.platform import Platform
from number_verification.supervisor import Supervisor

DESCRIPTION = "sandbox.json"
EXTERNAL_ISSUER = "https://idp.operator.example"
DAY = 24 * 3600


class Addresses(NamedTuple):
    """Where the sandbox listens."""

    http: ListenAddress
    grpc: ListenAddress
    radius: ListenAddress
    admin: ListenAddress


class Running(NamedTuple):
    """A sandbox that is ready to serve."""

    description: dict[str, Any]
    """What `sandbox.json` says."""
    core: MobileCore
    onboarding: Onboarding
    stop: Callable[[], None]
    """Lets the sandbox end."""


def run(
    data_dir: Path,
    addresses: Addresses,
    on_ready: Callable[[Running], None] = lambda _: None,
    *,
    empty_registry: bool = False,
) -> None:
    """Run the sandbox until it is stopped.

    Args:
        data_dir: where it keeps its stores and writes `sandbox.json`. Its registry begins empty at every start.
        addresses: where it listens; loopback only.
        on_ready: called, in a thread, when it is ready to serve.
        empty_registry: whether nobody is onboarded.

    Raises:
        ConfigurationRefused: it cannot listen or keep its data there.
    """
    others = [str(address) for address in addresses if not address.is_loopback]
    if others:
        raise ConfigurationRefused([f"{address}: the sandbox listens on loopback only" for address in others])
    with _alone_in(data_dir):
        own = _begun_anew(data_dir)
        try:
            _run(data_dir, addresses, own, on_ready, empty_registry=empty_registry)
        finally:
            (data_dir / DESCRIPTION).unlink(missing_ok=True)


def _run(
    data_dir: Path,
    addresses: Addresses,
    own: keys.SandboxKeys,
    on_ready: Callable[[Running], None],
    *,
    empty_registry: bool,
) -> None:
    # The issuer names the port, so a free one is picked before anything else is known.
    try:
        addresses = addresses._replace(http=with_port(addresses.http))
    except OSError as error:
        raise ConfigurationRefused([f"http: {addresses.http} cannot be had: {error.strerror}"]) from None
    settings = sandbox_settings(data_dir, addresses, own)
    stopping = threading.Event()

    def started(listeners: app.Listeners) -> None:
        if listeners.radius is None or listeners.internal is None:
            raise RuntimeError("the sandbox has both feeds")
        core = MobileCore(listeners.radius, own.radius_secret.encode(), listeners.internal, own.service_token)
        core.attach_all()
        with Platform(listeners.internal, settings.issuer) as platform:
            onboarding = Onboarding(platform, own.operator_staff)
            clients = [] if empty_registry else _onboarded(onboarding, own)
            description = describe(settings, listeners, own, clients)
            _write(data_dir / DESCRIPTION, description)
            threading.Thread(target=core.keep_alive, args=(stopping,), name="core", daemon=True).start()
            on_ready(Running(description, core, onboarding, supervisor.stop))

    supervisor = Supervisor(settings, started)
    try:
        supervisor.run()
    finally:
        stopping.set()


def _onboarded(onboarding: Onboarding, own: keys.SandboxKeys) -> list[Client]:
    consenting = (device for device in devices.DEVICES if device.consents)
    return onboard_all(onboarding, {"bank": own.bank, "shop": own.shop}, consenting)


@contextmanager
def _alone_in(data_dir: Path) -> Iterator[None]:
    """Keep a second sandbox from beginning anew under the feet of one that runs.

    Raises:
        ConfigurationRefused: one runs, or the directory cannot be used.
    """
    with ExitStack() as stack:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((data_dir / "sandbox.lock").open("ab"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationRefused([f"data-dir: {data_dir} is in use by another sandbox"]) from None
        except OSError as error:
            raise _unusable(data_dir, error) from None
        yield


def _begun_anew(data_dir: Path) -> keys.SandboxKeys:
    """The keys of the directory, whose registry is empty then."""
    try:
        for file in (data_dir / DESCRIPTION, *data_dir.glob(f"{REGISTRY}*")):
            file.unlink(missing_ok=True)
        return keys.load(data_dir)
    except OSError as error:
        raise _unusable(data_dir, error) from None


def _unusable(data_dir: Path, error: OSError) -> ConfigurationRefused:
    return ConfigurationRefused([f"data-dir: {data_dir} cannot be used: {error.strerror}"])


def sandbox_settings(data_dir: Path, addresses: Addresses, own: keys.SandboxKeys) -> Settings:
    """The configuration of the sandbox: the service's own, with everything on loopback."""
    http, grpc, radius, admin = addresses
    return parse(
        {
            "data_dir": data_dir,
            "issuer": f"http://{http}",
            "http": {"listen": str(http)},
            "grpc": {"listen": str(grpc), "reflection": True},
            "internal": {
                "listen": str(ListenAddress(host=grpc.host, port=0)),
                "http_listen": str(ListenAddress(host=grpc.host, port=0)),
                "reflection": True,
                "services": [
                    {"name": OPERATOR_STAFF, "roles": ["operator-staff"], "jwks": keys.public(own.operator_staff)},
                    {
                        "name": "simulated-core",
                        "roles": ["session-feed", "session-read"],
                        "token_sha256": hashlib.sha256(own.service_token.encode()).hexdigest(),
                    },
                ],
            },
            "radius": {
                "listen": str(radius),
                "clients": [
                    {
                        "name": RADIUS_CLIENT,
                        "network": "127.0.0.0/8",
                        "secret": own.radius_secret,
                        # Whatever can send accounting is welcome to try the sandbox.
                        "require_event_timestamp": False,
                    }
                ],
            },
            "admin": {"listen": str(admin)},
            "network": {
                "direct": [{"network": "127.0.0.0/8"}, {"network": "2001:db8:990::/48"}],
                "translated": ["203.0.113.0/24"],
                "ip_domains": [{"nas": f"{RADIUS_CLIENT}/{devices.CGNAT_CORE}", "ip_domain": devices.CGNAT_CORE}],
                "apns": [devices.APN],
                "tethering_apns": [devices.TETHERING_APN],
                # Sessions that somebody reports by hand get no interim updates.
                "session_silence_seconds": DAY,
                "feed_silence_seconds": DAY,
            },
            "origin": {
                "trusted_proxies": [f"{devices.TRUSTED_PROXY}/32"],
                "header": "Forwarded",
                "trusted_edges": [f"{devices.TRUSTED_PROXY}/32"],
                # The proxy is whoever binds to its address.
                "underscores_dropped": True,
            },
            "external_issuers": [
                {
                    "issuer": EXTERNAL_ISSUER,
                    "audience": f"http://{http}",
                    "jwks": keys.public(own.external_issuer),
                    "algorithms": ["ES256"],
                }
            ],
            "store": {"session_megabytes": 1024, "one_time_megabytes": 64},
        }
    )


def describe(
    settings: Settings, listeners: app.Listeners, own: keys.SandboxKeys, clients: Sequence[Client]
) -> dict[str, Any]:
    """What `sandbox.json` says."""
    root = settings.issuer
    agreed_with = [client.name for client in clients if client.legal_basis == LegalBasis.CONSENT]
    return {
        "issuer": root,
        "api_root": root,
        "grpc": str(listeners.grpc),
        "admin": f"http://{listeners.admin}",
        "internal": {
            "listener": str(listeners.internal),
            "api_root": f"http://{listeners.internal_http}",
            "client_id": OPERATOR_STAFF,
            "private_jwk": own.operator_staff,
        },
        "radius": {"address": str(listeners.radius), "secret": own.radius_secret, "apn": devices.APN},
        "clients": [client.description() for client in clients],
        "trusted_proxy": {"address": devices.TRUSTED_PROXY, "header": "Forwarded"},
        "devices": [_device(device, agreed_with) for device in devices.DEVICES],
        "external_issuer": {
            "issuer": EXTERNAL_ISSUER,
            "audience": settings.external_issuers[0].audience,
            "private_jwk": own.external_issuer,
        },
    }


def _device(device: devices.Device, agreed_with: Sequence[str]) -> dict[str, Any]:
    where = {"address": device.connects_from} if device.connects_from else {"forwarded": device.forwarded}
    consent = dict.fromkeys(agreed_with, "given" if device.consents else "missing")
    if device.refused is not None:
        outcome = {"outcome": "refused", "reason": device.refused.value}
    else:
        outcome = {"phone_number": device.phone_number, "outcome": "authenticated"}
    return {"name": device.name, **where, **outcome, "consent": consent}


def _write(path: Path, description: dict[str, Any]) -> None:
    # Whoever waits for the file must never read half of it. It holds keys: for its owner only.
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
