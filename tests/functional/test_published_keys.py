"""Applications that publish their keys: fetched over HTTPS, from private addresses only where that is allowed."""

import json
import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from functional.authorization import OAuthClient
from functional.certificates import Authority
from functional.gateway import Attachment, Gateway
from functional.registered import application
from functional.service import Service
from functional.serving import REDIRECT_URI, Setup, public, running_service
from unit.authorization.origin_server import OriginServer, reply

DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777")


@pytest.fixture(params=[True, False], ids=["allowed", "not allowed"])
def publishing(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Service, OriginServer, bool]]:
    """A service with an application whose keys are at a private address, which the operator allows or not."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("keys.example", "keys")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    # OpenSSL's own way to say whom the system trusts.
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    setup = Setup(tmp_path / "data")
    allowed: bool = request.param
    setup.content["registry"] = {"allow_private_jwks_uris": ["127.0.0.0/8"] if allowed else []}
    with OriginServer(reply(json.dumps(public(setup.keys[0])).encode()), tls) as server:
        published = replace(application(0, {}, [REDIRECT_URI]), jwks_uri=server.uri)
        setup.registered = [each for each in setup.registered if each.name != published.name]
        setup.registered.append(published)
        with running_service(tmp_path, setup) as service:
            Gateway(service).start(DEVICE)
            yield service, server, allowed


def test_an_application_that_publishes_its_keys(publishing: tuple[Service, OriginServer, bool]) -> None:
    service, server, allowed = publishing
    oauth = OAuthClient(service)
    code = oauth.code(DEVICE.address)
    answer = oauth.redeem(code)
    if allowed:
        assert answer.status == 200
        assert oauth.redeem(oauth.code(DEVICE.address)).status == 200
        assert len(server.requests) == 1
    else:
        assert (answer.status, answer.json["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        assert service.logged(answer.headers["x-correlator"])["reason"] == "issuer_unreachable"
        assert not server.connected.is_set()
