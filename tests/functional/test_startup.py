"""What cannot work or is unsafe is refused at start, every fault named, with exit code 2."""

import copy
import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from functional.registered import OTHER_PURPOSE, opened
from functional.sandbox import FREE_PORTS
from functional.service import SCRIPT
from functional.serving import Setup, free_ports, key_pair, refused_start, running_service, toml
from number_verification.domain import clock
from number_verification.domain.approval import ALL
from number_verification.domain.approval_records import Action, Statement
from number_verification.registry.approval_records import SqlApprovalRecords
from number_verification.registry.subscriber_hash import load_consent_key

Content = dict[str, Any]
Change = Callable[[Content], object]
ANYWHERE = "0.0.0.0/0"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Content:
    return Setup(tmp_path_factory.mktemp("good") / "data").content


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "200", "TERM": "dumb"}
    return subprocess.run(
        [SCRIPT, *map(str, arguments)], capture_output=True, text=True, timeout=30, check=False, env=environment
    )


UNSAFE: dict[str, tuple[Change, str]] = {
    "http in the open": (lambda c: c["http"].update(listen="0.0.0.0:8080"), r"http\.listen: .* has no tls"),
    "gRPC in the open": (lambda c: c["grpc"].update(listen="[::]:50051"), r"grpc\.listen: .* has no tls"),
    "internal in the open": (lambda c: c["internal"].update(listen="0.0.0.0:1"), r"internal\.listen: .* has no tls"),
    "internal REST in the open": (
        lambda c: c["internal"].update(http_listen="[::]:9092"),
        r"internal\.http_listen: .* has no tls",
    ),
    "internal REST without a port": (
        lambda c: c["internal"].update(http_listen="127.0.0.1"),
        r"internal\.http_listen: must be HOST:PORT",
    ),
    "issuer without TLS": (lambda c: c.update(issuer="http://operator.example"), r"issuer: must be an https URL"),
    "issuer with a slash": (lambda c: c.update(issuer="https://operator.example/"), r"issuer: must be"),
    "issuer that looks like loopback": (lambda c: c.update(issuer="http://127.0.0.1.example"), r"issuer: must be"),
    "issuer with loopback as user": (lambda c: c.update(issuer="http://127.0.0.1@evil.example"), r"issuer: must be"),
    "TLS proxy that is not trusted": (lambda c: c.update(behind_tls_proxy=True), r"behind_tls_proxy: needs"),
    "everybody a proxy": (
        lambda c: c.update(origin={"trusted_proxies": [ANYWHERE], "header": "Forwarded"}),
        r"origin: trusted_proxies must not hold every address",
    ),
    "everybody an edge": (
        lambda c: c.update(origin={"trusted_edges": ["::/0"], "underscores_dropped": True}),
        r"origin: trusted_edges must not hold every address",
    ),
    "proxies without a header": (lambda c: c.update(origin={"trusted_proxies": ["10.0.0.1/32"]}), r"origin: .*header"),
    "a header without proxies": (lambda c: c.update(origin={"header": "Forwarded"}), r"origin: header is set"),
    "an unknown header": (
        lambda c: c.update(origin={"trusted_proxies": ["10.0.0.1/32"], "header": "X-Real-IP"}),
        r"origin\.header",
    ),
    "a short secret": (
        lambda c: c["radius"]["clients"][0].update(network="10.0.0.0/8", secret="short"),
        r"radius\.clients: the secret of loopback is shorter than 32 bytes",
    ),
    "no secret": (lambda c: c["radius"]["clients"][0].pop("secret"), r"radius\.clients\.0: needs either secret"),
    "a secret file that is missing": (
        lambda c: c["radius"]["clients"].append({"name": "x", "network": "10.0.0.1/32", "secret_file": "/nowhere"}),
        r"radius\.clients\.1: there is no file /nowhere",
    ),
    "a gateway named twice": (
        lambda c: c["radius"]["clients"].append(dict(c["radius"]["clients"][0])),
        r"radius\.clients: a network is named twice",
    ),
    "no RADIUS clients": (lambda c: c["radius"].update(clients=[]), r"radius\.clients"),
    "no feed": (lambda c: (c.pop("radius"), c.pop("internal")), r"radius, internal: there is no feed"),
    "nobody may feed": (lambda c: c["internal"].update(services=[]), r"internal\.services: is empty"),
    "certificates without TLS": (
        lambda c: c["internal"]["services"][0].update(certificate_names=["core.example"]),
        r"internal\.tls: is needed",
    ),
    "a service that cannot be known": (
        lambda c: c["internal"]["services"][0].pop("token_sha256"),
        r"internal\.services\.0: needs certificate_names, token_sha256 or jwks",
    ),
    "an unknown role": (
        lambda c: c["internal"]["services"][0].update(roles=["admin"]),
        r"internal\.services\.0\.roles",
    ),
    "no network": (lambda c: c["network"].update(direct=[]), r"network: names no networks"),
    "no APN": (lambda c: c["network"].update(apns=[]), r"network\.apns"),
    "an APN that is both": (
        lambda c: c["network"].update(tethering_apns=["INTERNET"]),
        r"network: internet cannot be in both",
    ),
    "overlapping networks": (
        lambda c: c["network"].update(translated=["127.1.0.0/16"]),
        r"network: 127\.0\.0\.0/8 in direct overlaps",
    ),
    "a long-lived token": (lambda c: c.update(tokens={"lifetime_seconds": 301}), r"tokens\.lifetime_seconds"),
    "a token that never lives": (lambda c: c.update(tokens={"lifetime_seconds": 0}), r"tokens\.lifetime_seconds"),
    "an issuer that signs with a secret": (
        lambda c: c["external_issuers"][0].update(algorithms=["HS256"]),
        r"external_issuers\.0.*HS256|external_issuers\.0\.algorithms",
    ),
    "an issuer that does not sign": (
        lambda c: c["external_issuers"][0].update(algorithms=["none"]),
        r"external_issuers\.0",
    ),
    "an issuer without keys": (lambda c: c["external_issuers"][0].pop("jwks"), r"external_issuers\.0: needs either"),
    "keys over plain HTTP": (
        lambda c: (c["external_issuers"][0].pop("jwks"), c["external_issuers"][0].update(jwks_uri="http://x.example/")),
        r"external_issuers\.0: jwks_uri must be https",
    ),
    "an issuer named twice": (
        lambda c: c["external_issuers"].append(c["external_issuers"][0]),
        r"external_issuers: an issuer is named twice",
    ),
    "an issuer without audience": (
        lambda c: c["external_issuers"][0].update(audience=""),
        r"external_issuers\.0\.audience",
    ),
    "our own issuer as an external one": (
        lambda c: c["external_issuers"][0].update(issuer=c["issuer"]),
        r"external_issuers: names our own issuer",
    ),
    "a service named twice": (
        lambda c: c["internal"]["services"].append(c["internal"]["services"][0]),
        r"internal\.services: a name is used twice",
    ),
    "a service's private key": (
        lambda c: c["internal"]["services"][0].update(jwks={"keys": [key_pair()]}),
        r"internal\.services\.0: jwks must hold public keys only",
    ),
    "a service with a secret": (
        lambda c: c["internal"]["services"][0].update(jwks={"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}),
        r"internal\.services\.0: jwks must hold public keys only",
    ),
    "a service without a usable key": (
        lambda c: c["internal"]["services"][0].update(jwks={"keys": []}),
        r"internal\.services\.0: jwks must be a JWK set",
    ),
    "a service that is no client": (
        lambda c: c["internal"]["services"][0].update(name="a name"),
        r"internal\.services\.0\.name",
    ),
    "applications, which the registry holds": (
        lambda c: c.update(applications=[]),
        r"applications: Extra inputs are not permitted",
    ),
    "a registry that is never fresh": (
        lambda c: c.update(registry={"stale_after_seconds": 0}),
        r"registry\.stale_after_seconds",
    ),
    "a registry whose password is missing": (
        lambda c: c.update(
            registry={"url": "postgresql+psycopg://nv@127.0.0.1/nv", "password_file": "/nowhere/password"}
        ),
        r"registry: password_file: /nowhere/password: No such file",
    ),
    "a device that may never ask": (lambda c: c.update(limits={"device_rate": 0}), r"limits\.device_rate"),
    "a setting nobody knows": (lambda c: c.update(htpp={}), r"htpp: Extra inputs are not permitted"),
    "a nested setting nobody knows": (lambda c: c["http"].update(tsl={}), r"http\.tsl: Extra inputs"),
    "a port that is none": (lambda c: c["http"].update(listen="127.0.0.1:99999"), r"http\.listen: must be HOST:PORT"),
    "a host that is no address": (lambda c: c["http"].update(listen="localhost:1"), r"http\.listen: the host must be"),
    "a certificate that is missing": (
        lambda c: c["http"].update(tls={"certificate": "/nowhere.pem", "key": "/nowhere.key"}),
        r"http\.tls: there is no file /nowhere\.pem",
    ),
    "no workers": (lambda c: c.update(workers=0), r"workers"),
    "no data directory": (lambda c: c.pop("data_dir"), r"data_dir: Field required"),
    "no room": (lambda c: c.update(store={"session_megabytes": 0}), r"store\.session_megabytes"),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_an_unsafe_configuration(tmp_path: Path, good: Content, case: str) -> None:
    """By the same code as `serve`, in this process: each case as a process of its own would take too long."""
    from number_verification.config import ConfigurationRefused, load

    content = copy.deepcopy(good)
    change, expected = UNSAFE[case]
    change(content)
    config = tmp_path / "config.toml"
    config.write_text(toml(content))
    with pytest.raises(ConfigurationRefused) as refused:
        load(config)
    assert [fault for fault in refused.value.faults if re.match(expected, fault)], refused.value.faults
    assert len(refused.value.faults) <= 2
    assert not [fault for fault in refused.value.faults if "a secret for gateways" in fault]


def test_the_good_one_is_accepted(tmp_path: Path, good: Content) -> None:
    from number_verification.config import load

    config = tmp_path / "config.toml"
    config.write_text(toml(good))
    assert load(config).issuer == good["issuer"]


def test_every_fault_of_a_section_is_named_at_once(tmp_path: Path, good: Content) -> None:
    content = copy.deepcopy(good)
    for case in ("http in the open", "issuer without TLS", "nobody may feed", "an issuer named twice"):
        UNSAFE[case][0](content)
    said = refused_start(tmp_path, content)
    for expected in (r"http\.listen", r"issuer", r"internal\.services", r"external_issuers"):
        assert re.search(rf"^  {expected}", said, re.MULTILINE), said
    content = copy.deepcopy(good)
    for case in ("a setting nobody knows", "a service that is no client", "no APN", "a port that is none"):
        UNSAFE[case][0](content)
    said = refused_start(tmp_path, content)
    for expected in (r"htpp", r"internal\.services\.0\.name", r"network\.apns", r"http\.listen"):
        assert re.search(rf"^  {expected}", said, re.MULTILINE), said


@pytest.mark.parametrize("text", ["", "not = [toml", "\x00", "data_dir = 1"])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(text)
    done = run("serve", "--config", config)
    assert done.returncode == 2
    assert "refused to start" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("path", ["missing.toml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    done = run("serve", "--config", tmp_path / path)
    assert done.returncode == 2
    assert "refused to start" in done.stderr
    assert str(tmp_path / path) in done.stderr.replace("\n", "")


@contextmanager
def taken(address: str, kind: socket.SocketKind) -> Iterator[None]:
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, kind) as occupant:
        occupant.bind((host, int(port)))
        if kind is socket.SOCK_STREAM:
            occupant.listen()
        yield


def test_ports_in_use_are_all_named(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "data")
    with ExitStack() as stack:
        for name in ("http", "grpc", "internal", "admin"):
            stack.enter_context(taken(setup.content[name]["listen"], socket.SOCK_STREAM))
        stack.enter_context(taken(setup.content["radius"]["listen"], socket.SOCK_DGRAM))
        said = refused_start(tmp_path, setup.content)
    for name in ("http", "grpc", "internal", "radius", "admin"):
        address = setup.content[name]["listen"]
        assert f"  {name}.listen: {address} cannot be had: Address already in use" in said


def test_the_port_of_the_internal_rest_in_use_is_named(tmp_path: Path) -> None:
    setup = Setup(tmp_path / "data")
    setup.content["internal"]["http_listen"] = f"127.0.0.1:{free_ports(1)[0]}"
    with taken(setup.content["internal"]["http_listen"], socket.SOCK_STREAM):
        said = refused_start(tmp_path, setup.content)
    assert f"  internal.http_listen: {setup.content['internal']['http_listen']} cannot be had" in said


def test_a_second_service_does_not_share_the_ports(tmp_path: Path) -> None:
    """With SO_REUSEPORT alone, it would take half of the calls without anybody noticing."""
    with socket.socket() as first:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        first.bind(("127.0.0.1", 0))
        first.listen()
        setup = Setup(tmp_path / "data")
        setup.content["http"]["listen"] = f"127.0.0.1:{first.getsockname()[1]}"
        assert "http.listen" in refused_start(tmp_path, setup.content)


def a_file(data: Path) -> None:
    data.write_text("")


def a_file_for_a_store(name: str) -> Callable[[Path], None]:
    def make(data: Path) -> None:
        data.mkdir()
        (data / name).write_text("")

    return make


def a_corrupt_store(data: Path) -> None:
    (data / "sessions").mkdir(parents=True)
    (data / "sessions" / "data.mdb").write_bytes(b"not LMDB" * 10_000)


def a_link_to_nowhere(data: Path) -> None:
    data.symlink_to("/nowhere/at/all")


def a_corrupt_registry(data: Path) -> None:
    data.mkdir()
    (data / "registry.db").write_bytes(b"not SQLite" * 10_000)


BROKEN: list[Callable[[Path], None]] = [
    a_file,
    a_file_for_a_store("sessions"),
    a_file_for_a_store("one-time"),
    a_corrupt_store,
    a_link_to_nowhere,
]


@pytest.mark.parametrize("breakage", BROKEN)
def test_a_data_directory_that_cannot_be_used(tmp_path: Path, breakage: Callable[[Path], None]) -> None:
    """Root may read everything, so permissions prove nothing here: something else stands in the way."""
    setup = Setup(tmp_path / "data")
    breakage(tmp_path / "data")
    said = refused_start(tmp_path, setup.content)
    assert re.search(r"^  data_dir: .*data", said, re.MULTILINE), said


@pytest.mark.parametrize("url", ["", "postgresql+psycopg://127.0.0.1:9/x", "mysql://x/y", "nonsense"])
def test_a_registry_that_cannot_be_used(tmp_path: Path, url: str) -> None:
    setup = Setup(tmp_path / "data")
    a_corrupt_registry(tmp_path / "data")
    setup.content["registry"] = {"url": url}
    said = refused_start(tmp_path, setup.content)
    assert re.search(r"^  registry: \w", said, re.MULTILINE), said


def test_a_sandbox_elsewhere_than_on_loopback(tmp_path: Path) -> None:
    done = run("sandbox", "--data-dir", tmp_path / "data", *FREE_PORTS[2:], "--http", "0.0.0.0:0")
    assert done.returncode == 2
    assert "0.0.0.0:0: the sandbox listens on loopback only" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_sandbox_whose_data_directory_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    done = run("sandbox", "--data-dir", tmp_path / "data", *FREE_PORTS)
    assert done.returncode == 2
    assert "data-dir" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [[], ["serve"], ["sandbox"], ["story"], ["token"]])
def test_help_on_everything(command: list[str]) -> None:
    done = run(*command, "--help")
    assert done.returncode == 0
    assert "Usage: number-verification" in done.stdout
    assert OTHER_PURPOSE not in done.stdout


def test_version() -> None:
    from number_verification import __version__

    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"number-verification {__version__}\n")


@pytest.mark.parametrize(
    "arguments", [["serve"], ["nothing"], ["sandbox"], ["sandbox", "--data-dir", "x", "--http", "nonsense"]]
)
def test_a_command_line_that_is_wrong(arguments: list[str]) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_keys_that_cannot_be_kept_are_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "keys").write_text("")
    refused = refused_start(tmp_path, Setup(tmp_path / "data").content)
    assert re.search(r"^  data_dir: .*keys", refused, re.MULTILINE)
    assert "Traceback" not in refused


def test_approvals_whose_key_is_lost(tmp_path: Path) -> None:
    """With a new key, no objection that is on record would be found any more."""
    setup = Setup(tmp_path / "data")
    with opened(tmp_path / "data") as registry:
        objecting = Statement(Action.OPTED_OUT, b"0123456789abcdef", ALL, ALL, "a test")
        SqlApprovalRecords(registry._engine, clock.now).record(objecting)
    said = refused_start(tmp_path, setup.content)
    assert re.search(r"^  registry: .* lacks their key \(keys/consent-key\)$", said, re.MULTILINE)
    assert not (tmp_path / "data" / "keys" / "consent-key").exists()
    load_consent_key(tmp_path / "data" / "keys")
    with running_service(tmp_path, setup):
        pass
