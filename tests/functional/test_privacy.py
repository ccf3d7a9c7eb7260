"""No phone number, IMSI, token, code, assertion or key anywhere it does not belong (invariant 6).

Seen to fail: with the phone number among the fields of the log line, and with the token in a violation's description.
"""

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from functional.authorization import VERIFIER, OAuthClient
from functional.gateway import Attachment, Gateway
from functional.service import HttpAnswer, Service, descendants, request
from functional.transports import BASE, Grpc, Rest, bearer
from number_verification.sandbox.devices import DEVICES

NEW_DEVICE = Attachment("127.2.0.1", "+990555000777", "999990555000777", "a-session-id-of-the-test")


class Secrets:
    """What must not be seen, and everything that was."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()
        self.seen: list[tuple[str, str]] = []

    def add(self, *secrets: str) -> None:
        self.secrets.update(secrets)

    def note(self, where: str, text: object) -> None:
        self.seen.append((where, str(text)))

    def leaks(self) -> list[str]:
        """Where a secret was seen; not which one."""
        return [where for where, text in self.seen if any(secret in text for secret in self.secrets)]


def note_answer(secrets: Secrets, where: str, answer: HttpAnswer) -> None:
    """Everything of an answer but what it is for."""
    location = answer.headers.get("location", "")
    secrets.note(f"{where}: location", location)
    secrets.note(f"{where}: headers", {name: v for name, v in answer.headers.items() if name != "location"})
    if answer.status >= 400:
        secrets.note(f"{where}: body", answer.body)


def flows(service: Service, secrets: Secrets) -> None:
    """Authorizations and calls that come to nothing good."""
    oauth, rest = OAuthClient(service), Rest(service)
    for attempt in (
        oauth.authorize("127.1.0.7", login_hint=NEW_DEVICE.phone_number),
        oauth.authorize(scope=NEW_DEVICE.phone_number),
        oauth.authorize(client_id=NEW_DEVICE.phone_number),
        oauth.authorize(redirect_uri=f"http://{NEW_DEVICE.imsi}.example/"),
        oauth.authorize(request="a.b.c"),
    ):
        note_answer(secrets, "authorize", attempt)
    bad_forms: list[dict[str, Any]] = [
        {"code_verifier": "wrong" * 10},
        {"redirect_uri": "http://x.example/"},
        {"grant_type": "other"},
    ]
    for changes in bad_forms:
        code, assertion = oauth.code(NEW_DEVICE.address), oauth.assertion()
        secrets.add(code, assertion)
        note_answer(secrets, "token", oauth.redeem(code, client_assertion=assertion, **changes))
        note_answer(secrets, "token", oauth.redeem(code, client_assertion=assertion))
        note_answer(secrets, "token", oauth.redeem(code))
    body = urlencode(oauth.form(oauth.code())).encode() + b"&code=again"
    note_answer(secrets, "token", oauth.post_token(body))
    note_answer(secrets, "token", request(oauth.issuer, "GET", f"/oauth2/token?code={oauth.code()}"))
    number = NEW_DEVICE.phone_number
    for path in (f"/verify/{number}", f"/device-phone-number?phoneNumber={number}", f"/{number}"):
        note_answer(secrets, "path", rest.request("GET", path, bearer(service.external_token())))
    hashed = hashlib.sha256(number.encode()).hexdigest()
    secrets.add(hashed)
    for content in (
        f'{{"phoneNumber":"{number}x"}}',
        f'{{"phoneNumber":"{number}","{number}":1}}',
        f'{{"{NEW_DEVICE.imsi}":1}}',
        f'{{"phoneNumber":"{number}","hashedPhoneNumber":"{hashed}"}}',
        f'{{"hashedPhoneNumber":"{hashed}0"}}',
        f'"{number}"',
        f"{number}",
    ):
        token = service.external_token(phone_number=number)
        secrets.add(token)
        note_answer(secrets, "verify", rest.post("/verify", token, content.encode()))
        note_answer(secrets, "verify again", rest.post("/verify", token, content.encode()))
        note_answer(secrets, "media type", rest.post("/verify", service.external_token(), content.encode(), (), number))
        note_answer(
            secrets, "correlator", rest.request("GET", "/device-phone-number", [("x-correlator", f"({number})")])
        )


def good_and_bad_calls(service: Service, secrets: Secrets) -> None:
    oauth, rest = OAuthClient(service), Rest(service)
    number = NEW_DEVICE.phone_number
    with Grpc(service) as by_grpc:
        for transport in (by_grpc, rest):
            token = oauth.token(NEW_DEVICE.address)
            secrets.add(token)
            outcome = transport.verify(token, phoneNumber=number)
            assert outcome.body == {"devicePhoneNumberVerified": True}
            secrets.note("answer to verify", outcome)
            for attempt in (
                transport.verify(token, phoneNumber=number),
                transport.verify(service.external_token(), phoneNumber=f"{number} "),
                transport.verify(service.external_token(), hashedPhoneNumber=number),
                transport.share(service.external_token(phone_number=number[1:])),
                transport.share(service.external_token(amr=["sms"], phone_number=number)),
                transport.share(service.external_token(), [("x-network-origin-address", number)]),
                transport.share(token, [("authorization", f"Bearer {number}")]),
                transport.share(number),
                transport.share(f"{token}.{token}.{token}"),
            ):
                assert attempt.code != "OK"
                secrets.note(f"refusal by {transport.name}", attempt)
            # The one place where a number belongs.
            assert transport.share(oauth.token(NEW_DEVICE.address)).body == {"devicePhoneNumber": number}


@pytest.fixture
def secrets(own_sandbox: Service) -> Secrets:
    found = Secrets()
    for device in DEVICES:
        found.add(device.phone_number[1:], device.imsi)
    found.add(NEW_DEVICE.phone_number[1:], NEW_DEVICE.imsi, "990555000001", VERIFIER)
    description: dict[str, Any] = own_sandbox.description
    found.add(description["radius"]["secret"])
    for jwk in (description["clients"][0]["private_jwk"], description["external_issuer"]["private_jwk"]):
        found.add(jwk["d"])
    return found


def test_nothing_leaks(own_sandbox: Service, secrets: Secrets) -> None:
    gateway = Gateway(own_sandbox)
    gateway.start(NEW_DEVICE)
    gateway.update(NEW_DEVICE)
    good_and_bad_calls(own_sandbox, secrets)
    flows(own_sandbox, secrets)
    gateway.stop(NEW_DEVICE)
    for path in ("/metrics", "/readyz", "/healthz"):
        secrets.note(path, own_sandbox.admin(path).body.decode())
    for path in ("/oauth2/jwks", "/.well-known/openid-configuration", f"{BASE}/openapi.json"):
        secrets.note(path, request(own_sandbox.description["issuer"], "GET", path).body.decode())
    pid = own_sandbox.process.pid
    for process in (pid, *descendants(pid)):
        secrets.note("command line", Path(f"/proc/{process}/cmdline").read_bytes())
    assert own_sandbox.stop() == 0
    secrets.note("log", own_sandbox.log_path.read_text())
    assert len(own_sandbox.log) > 60
    assert len(secrets.secrets) > 40
    assert secrets.leaks() == []


def test_the_search_finds_what_is_there() -> None:
    secrets = Secrets()
    secrets.add(NEW_DEVICE.phone_number)
    secrets.note("somewhere", f"… {NEW_DEVICE.phone_number} …")
    assert secrets.leaks() == ["somewhere"]


def test_what_is_stored_is_for_the_owner_only(sandbox: Service) -> None:
    """Stores, keys and `sandbox.json` hold what a neighbour on the machine must not read."""
    data_dir = sandbox.data_dir
    open_to_others = [
        str(path.relative_to(data_dir))
        for path in data_dir.rglob("*")
        if path.is_file() and all(part.stat().st_mode & 0o004 for part in (path, path.parent))
    ]
    # The log is this test's own; the metrics are no secret.
    assert [name for name in open_to_others if name != "log" and not name.startswith("metrics/")] == []


def test_codes_and_tokens_are_not_in_the_store(sandbox: Service) -> None:
    """Only their hashes are (design D2)."""
    oauth = OAuthClient(sandbox)
    code, token = oauth.code(), oauth.token()
    content = b"".join(path.read_bytes() for path in (sandbox.data_dir / "one-time").rglob("data.mdb"))
    assert hashlib.sha256(token.encode()).digest() in content
    for secret in (code, token):
        assert secret.encode() not in content
