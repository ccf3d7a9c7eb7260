"""The console script against the whole service: a real token, a real listener, a real trail."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from functional.administration.conftest import Admin
from functional.serving import Setup, key_pair, public, running_service

STAFF, READER = key_pair(), key_pair()


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `sandbox.json` says, of a service with two callers: staff, and somebody who may only look sessions up."""
    directory = tmp_path_factory.mktemp("service")
    setup = Setup(directory / "data")
    setup.content["internal"]["services"] += [
        {"name": "staff", "roles": ["operator-staff"], "jwks": public(STAFF)},
        {"name": "reader", "roles": ["session-read"], "jwks": public(READER)},
    ]
    with running_service(directory, setup):
        for name, key in (("staff", STAFF), ("reader", READER), ("stranger", STAFF)):
            internal = {"listener": setup.internal, "client_id": name, "private_jwk": key}
            path = directory / f"{name}.json"
            path.touch(mode=0o600)
            path.write_text(json.dumps({"issuer": setup.issuer, "internal": internal}))
        yield directory


@pytest.fixture
def admin(tmp_path: Path, description: Path) -> Admin:
    return Admin(tmp_path, STAFF, ["--sandbox", str(description / "staff.json")])


def test_what_was_done_is_on_record(admin: Admin) -> None:
    verified = admin.script("audit", "verify", "--json")
    assert (verified.code, verified.err) == (0, "")
    assert "tamperingCount" not in verified.objects[0]
    exported = admin.script("audit", "export")
    assert (exported.code, exported.err) == (0, "")
    operations = [(record["operation"], record["outcome"]) for record in exported.objects]
    assert ("/audit.v1.AuditService/VerifyAudit", "OK") in operations
    assert ("token", "OK") in operations
    assert admin.done("audit", "subscriber", "--phone-number-file", "-", "--json", stdin="+990555000001").objects == []


def test_only_staff_may(admin: Admin, description: Path) -> None:
    for name, code, text in (("reader", 1, "refused: PERMISSION_DENIED: "), ("stranger", 1, "refused a token: ")):
        done = admin.bare("--sandbox", description / f"{name}.json", "audit", "list")
        assert (done.code, done.out, done.err.startswith(text)) == (code, "", True), done.err
