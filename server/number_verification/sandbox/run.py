"""Starting the sandbox, and telling others how to reach it."""

import fcntl
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from number_verification.sandbox.onboarding import OPERATOR_STAFF, Client, Onboarding, known_before, onboard_all
from number_verification.sandbox.platform import Platform
from number_verification.supervisor import Supervisor

DESCRIPTION = "sandbox.json"
BEGUN = "sandbox-begun"
"""Says how the registry was begun, once it was."""

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
    begin_anew: bool = False,
) -> None:
    """Run the sandbox until it is stopped.

    Args:
        data_dir: where it keeps its stores and writes `sandbox.json`. Its registry begins empty; a later run goes on
            with what an earlier one of the same kind left.
        addresses: where it listens; loopback only.
        on_ready: called, in a thread, when it is ready to serve.
        empty_registry: whether nobody is onboarded.
        begin_anew: whether what an earlier run left in the registry is dropped.

    Raises:
        ConfigurationRefused: it cannot listen or keep its data there.
    """
    others = [str(address) for address in addresses if not address.is_loopback]
    if others:
        raise ConfigurationRefused([f"{address}: the sandbox listens on loopback only" for address in others])
    with _alone_in(data_dir):
        begun = "empty" if empty_registry else "onboarded"
        own, goes_on = _begun(data_dir, "" if begin_anew else begun)

        def clients(onboarding: Onboarding) -> list[Client]:
            found = [] if empty_registry else _clients(onboarding, own, goes_on=goes_on)
            (data_dir / BEGUN).write_text(begun)
            return found

        try:
            _run(data_dir, addresses, own, on_ready, clients)
        finally:
            (data_dir / DESCRIPTION).unlink(missing_ok=True)


def _run(
    data_dir: Path,
    addresses: Addresses,
    own: keys.SandboxKeys,
    on_ready: Callable[[Running], None],
    clients_of: Callable[[Onboarding], list[Client]],
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
            description = describe(settings, listeners, own, clients_of(onboarding), onboarding.agrees)
            _write(data_dir / DESCRIPTION, description)
            threading.Thread(target=core.keep_alive, args=(stopping,), name="core", daemon=True).start()
            on_ready(Running(description, core, onboarding, supervisor.stop))

    supervisor = Supervisor(settings, started)
    try:
        supervisor.run()
    finally:
        stopping.set()


def _clients(onboarding: Onboarding, own: keys.SandboxKeys, *, goes_on: bool) -> list[Client]:
    private = {"bank": own.bank, "shop": own.shop}
    if goes_on:
        return known_before(onboarding, private)
    return onboard_all(onboarding, private, (device for device in devices.DEVICES if device.consents))


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


def _begun(data_dir: Path, as_what: str) -> tuple[keys.SandboxKeys, bool]:
    """The keys of the directory, and whether its registry is one that was begun so to the end; if not, it is empty."""
    marker = data_dir / BEGUN
    try:
        (data_dir / DESCRIPTION).unlink(missing_ok=True)
        goes_on = marker.exists() and marker.read_text() == as_what
        if not goes_on:
            marker.unlink(missing_ok=True)
            for file in data_dir.glob(f"{REGISTRY}*"):
                file.unlink()
        return keys.load(data_dir), goes_on
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
    settings: Settings,
    listeners: app.Listeners,
    own: keys.SandboxKeys,
    clients: Sequence[Client],
    agrees: Callable[[str, devices.Device], bool],
) -> dict[str, Any]:
    """What `sandbox.json` says."""
    root = settings.issuer
    need_consent = [client for client in clients if client.legal_basis == LegalBasis.CONSENT]

    def consent(device: devices.Device) -> dict[str, str]:
        return {each.name: "given" if agrees(each.application, device) else "missing" for each in need_consent}

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
        "devices": [_device(device, consent(device)) for device in devices.DEVICES],
        "external_issuer": {
            "issuer": EXTERNAL_ISSUER,
            "audience": settings.external_issuers[0].audience,
            "private_jwk": own.external_issuer,
        },
    }


def _device(device: devices.Device, consent: Mapping[str, str]) -> dict[str, Any]:
    where = {"address": device.connects_from} if device.connects_from else {"forwarded": device.forwarded}
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
