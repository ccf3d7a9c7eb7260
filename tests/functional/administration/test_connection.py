"""Which service is spoken to and as whom; and how a command fails."""

import json
import ssl
from pathlib import Path
from typing import Any

import grpc
import pytest

from functional.administration.conftest import CLIENT_ID
from functional.administration.conftest import ObservedAdmin as Admin
from functional.administration.internal import Internal, running_internal
from functional.certificates import Authority
from functional.serving import free_ports, key_pair
from unit.client.provider import ACCESS_TOKEN, TOKEN_PATH, Reply, running_provider

LIST = ("organizations", "list")
CREATE = ("organizations", "create", "first-bank", "--json")


def test_a_token_is_asked_for_once_and_proves_who_calls(admin: Admin, internal: Internal) -> None:
    internal.failures["CreateOrganization"] = [grpc.StatusCode.UNAVAILABLE]
    admin.done(*CREATE)
    [asked] = [each for each in admin.provider.asked if each.path == TOKEN_PATH]
    assert asked.form["grant_type"] == "client_credentials"
    assert asked.form["client_id"] == CLIENT_ID
    assert {each["authorization"] for each in internal.metadata} == {f"Bearer {ACCESS_TOKEN}"}


def test_a_try_again_is_the_same_request(admin: Admin, internal: Internal) -> None:
    internal.failures["CreateOrganization"] = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED]
    admin.done(*CREATE)
    requests = [request for _, request in internal.asked]
    assert len(requests) == 3
    assert len({request.request_id for request in requests}) == 1
    assert len(requests[0].request_id) == 36


def test_a_request_id_of_ones_own(admin: Admin, internal: Internal) -> None:
    own = "7b0c1b1e-0c5f-4a52-9a5d-6a2f0d6e3c11"
    admin.done(*CREATE, "--request-id", own)
    admin.script("organizations", "suspend", "first-bank", "--request-id", own)
    assert [request.request_id for _, request in internal.asked] == [own, own]


@pytest.mark.parametrize(
    ("status", "tries", "code"),
    [
        (grpc.StatusCode.UNAVAILABLE, 3, 3),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 3, 3),
        (grpc.StatusCode.PERMISSION_DENIED, 1, 1),
        (grpc.StatusCode.INTERNAL, 1, 1),
    ],
)
def test_exit_codes(admin: Admin, internal: Internal, status: grpc.StatusCode, tries: int, code: int) -> None:
    internal.failures["ListOrganizations"] = [status] * 9
    done = admin.script(*LIST)
    assert (done.code, done.out) == (code, "")
    assert done.err.count("\n") == 1
    assert f": {status.name}: as the test wants (x-correlator " in done.err
    assert len(internal.asked) == tries
    assert {each["x-correlator"] in done.err for each in internal.metadata} == {True}


def test_violations_stand_one_a_line(admin: Admin, internal: Internal) -> None:
    internal.violations = [("organization.displayName", "must be given"), ("organizationId", "must be shorter")]
    done = admin.script(*CREATE)
    first, *others = done.err.splitlines()
    assert done.code == 1
    assert first.startswith("refused: INVALID_ARGUMENT (x-correlator ")
    assert others == ["  organization.displayName: must be given", "  organizationId: must be shorter"]


def test_nobody_listens(admin: Admin) -> None:
    [port] = free_ports(1)
    done = admin.bare("--server", f"127.0.0.1:{port}", *admin.connection[2:], *LIST)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("not reached: UNAVAILABLE")
    nobody = f"http://127.0.0.1:{port}"
    done = admin.bare(*admin.connection[:2], "--issuer", nobody, *admin.connection[4:], *LIST)
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("no token: ")


def test_a_token_is_refused(admin: Admin, internal: Internal) -> None:
    admin.provider.replies[TOKEN_PATH] = Reply.json({"error": "invalid_client"}, 401)
    done = admin.script(*LIST)
    assert (done.code, done.err) == (1, "refused a token: invalid_client\n")
    assert internal.asked == []


def test_environment_variables_say_the_same(admin: Admin) -> None:
    names = [f"NUMBER_VERIFICATION_{option[2:].upper().replace('-', '_')}" for option in admin.connection[::2]]
    done = admin.bare(*LIST, **dict(zip(names, admin.connection[1::2], strict=True)))
    assert (done.code, done.err) == (0, "")


@pytest.fixture
def description(admin: Admin) -> dict[str, Any]:
    internal = {"listener": admin.internal.address, "client_id": CLIENT_ID, "private_jwk": admin.key}
    return {"issuer": admin.provider.issuer, "internal": internal}


@pytest.mark.parametrize("said", [True, False])
def test_a_sandbox(admin: Admin, description: dict[str, Any], said: bool) -> None:
    path = admin.directory / ".sandbox" / "sandbox.json"
    path.parent.mkdir()
    path.touch(mode=0o600)
    path.write_text(json.dumps(description))
    done = admin.bare(*(("--sandbox", path) if said else ()), *LIST)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize(
    ("content", "said"),
    [({}, "does not say"), ({"internal": []}, "does not say"), ([], "JSON object"), ("{", "not JSON")],
)
def test_a_sandbox_that_says_too_little(admin: Admin, content: object, said: str) -> None:
    path = admin.write("sandbox.json", content)
    path.chmod(0o600)
    done = admin.bare("--sandbox", path, *LIST)
    assert (done.code, said in done.err) == (2, True)


def test_what_is_said_is_not_enough_or_too_much(admin: Admin) -> None:
    sandbox = admin.write("sandbox.json", {})
    server = admin.connection[:2]
    for arguments, text in (
        ([], "which service?"),
        (server, "--issuer and --client-id and --key must be given"),
        (admin.connection[:4], "--client-id and --key must be given"),
        (["--sandbox", sandbox, *server], "which of the two"),
        ([*admin.connection, "--cert", sandbox], "--cert and --cert-key go together"),
        (["--server", "here", *admin.connection[2:]], "HOST:PORT"),
        (["--nonsense"], "No such option"),
    ):
        done = admin.bare(*arguments, *LIST)
        assert (done.code, text in done.err) == (2, True), done.err
    assert admin.internal.asked == []


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_may_read_is_not_used(admin: Admin, mode: int) -> None:
    admin.write_key(admin.key, mode)
    done = admin.script(*LIST)
    assert (done.code, "0600" in done.err) == (2, True)
    assert admin.provider.asked == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"kty": "EC"}', "\x00", '{"kty": "oct", "k": "c2VjcmV0"}'])
def test_a_key_that_is_none(admin: Admin, content: str) -> None:
    admin.key_file.write_bytes(content.encode())
    done = admin.script(*LIST)
    assert done.code == 2
    assert "c2VjcmV0" not in done.err
    assert admin.internal.asked == []


def test_plain_text_is_spoken_to_this_machine_only(admin: Admin) -> None:
    # 0.0.0.0 leads to this machine as well, but says nothing of it: who speaks plain text there is reached.
    elsewhere = f"0.0.0.0:{admin.internal.address.split(':')[1]}"
    done = admin.bare("--server", elsewhere, "--timeout", "1", *admin.connection[2:], *LIST)
    assert done.code == 3
    assert admin.internal.asked == []


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def test_a_client_certificate_needs_no_token(tmp_path: Path, authority: Authority, admin: Admin) -> None:
    certificate, key = authority.issue("localhost", "server")
    own, own_key = authority.issue("ada", "client")
    own_key.chmod(0o600)
    credentials = grpc.ssl_server_credentials(
        [(key.read_bytes(), certificate.read_bytes())], authority.certificate.read_bytes(), True
    )
    with running_internal(credentials) as internal:
        connection = ["--server", internal.address, "--ca", authority.certificate]
        done = admin.bare(*connection, "--cert", own, "--cert-key", own_key, *LIST)
        assert (done.code, done.err) == (0, "")
        assert [each.get("authorization") for each in internal.metadata] == [None]
        own_key.chmod(0o644)
        assert admin.bare(*connection, "--cert", own, "--cert-key", own_key, *LIST).code == 2


def test_an_authority_of_ones_own_vouches_for_both(tmp_path: Path, authority: Authority, admin: Admin) -> None:
    certificate, key = authority.issue("localhost", "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    with running_internal(credentials) as internal, running_provider(context) as provider:
        connection = ["--server", internal.address, "--issuer", provider.issuer, *admin.connection[4:]]
        done = admin.bare(*connection, "--ca", authority.certificate, *LIST)
        assert (done.code, done.err) == (0, "")
        assert internal.metadata[0]["authorization"] == f"Bearer {ACCESS_TOKEN}"
        (tmp_path / "stranger").mkdir()
        stranger = Authority(tmp_path / "stranger")
        for untrusted in ([], ["--ca", stranger.certificate]):
            done = admin.bare(*connection, *untrusted, *LIST)
            assert (done.code, done.out, done.err.count("\n")) == (3, "", 1), done.err


def test_a_service_that_nobody_vouches_for_is_told_in_a_line(authority: Authority, admin: Admin) -> None:
    certificate, key = authority.issue("localhost", "server")
    with running_internal(grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])) as internal:
        (authority.directory / "stranger").mkdir()
        stranger = Authority(authority.directory / "stranger")
        done = admin.bare("--server", internal.address, "--ca", stranger.certificate, *admin.connection[2:], *LIST)
        assert (done.code, done.out, done.err.count("\n")) == (3, "", 1), done.err
        assert internal.asked == []


def test_a_foreign_key_is_not_told(admin: Admin) -> None:
    other = key_pair()
    admin.write_key({**other, "crv": "P-999"})
    done = admin.script(*LIST)
    assert done.code == 2
    assert other["d"] not in done.err
