"""The user story, told once by the sandbox through real sockets and printed for people."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import grpc
from rich.console import Console
from rich.table import Table
from rich.text import Text

from number_verification.gen.onboarding.v1 import applications_pb2 as applications
from number_verification.gen.onboarding.v1 import people_pb2 as people
from number_verification.sandbox import run as sandbox
from number_verification.sandbox.core import MobileCore
from number_verification.sandbox.devices import DEVICES
from number_verification.sandbox.keys import private_jwk
from number_verification.sandbox.onboarding import TRIAL, TRIAL_QUOTA
from number_verification.sandbox.partner import Partner
from number_verification.sandbox.run import Running
from number_verification_client import (
    NumberVerificationClient,
    NumberVerificationError,
    OAuthError,
    Unauthenticated,
)

LOG = "operator.log"

WIDTH = 140
"""Columns where nobody says how wide the terminal is."""

CORE, BANK, STRANGER = "mobile core", "bank's backend", "a stranger"
SHOP, KIOSK, STAFF = "shop's backend", "kiosk's backend", "operator's staff"

A_SECOND = 1.0
"""Within which a suspension and a withdrawal work everywhere."""


class Step(NamedTuple):
    """One step of the story."""

    who: str
    where: str
    asked: str
    answered: str
    expected: bool


def tell(data_dir: Path, addresses: sandbox.Addresses, *, keep_serving: bool) -> bool:
    """Start a sandbox, walk the story, print it.

    Args:
        data_dir: where the sandbox keeps its data.
        addresses: where it listens.
        keep_serving: whether to go on serving afterwards, until Ctrl-C.

    Returns:
        Whether every step came out as it should.

    Raises:
        ConfigurationRefused: the sandbox cannot start.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    came_out_right: list[bool] = []
    log_path = data_dir / LOG
    data_dir.mkdir(parents=True, exist_ok=True)

    def ready(running: Running) -> None:
        try:
            came_out_right.append(_print_story(console, running))
            if keep_serving:
                _print_invitation(console, running.description, data_dir)
        finally:
            if not keep_serving:
                running.stop()

    with _log_sent_to(log_path):
        sandbox.run(data_dir, addresses, ready, begin_anew=True)
    told_well = came_out_right == [True]
    if not told_well:
        console.print(f"The end of the operator's log:\n{log_path.read_text()[-4000:]}", markup=False, highlight=False)
    return told_well


def _print_story(console: Console, running: Running) -> bool:
    table = Table(title="Whose phone number is behind this connection?", title_justify="left", show_lines=False)
    for heading in ("", "who", "from", "asks", "gets"):
        table.add_column(heading, overflow="fold")
    right = True
    try:
        for step in story(running):
            right = right and step.expected
            mark = Text("✓", "green") if step.expected else Text("✗", "bold red")
            table.add_row(mark, step.who, step.where, step.asked, step.answered)
    except (NumberVerificationError, OSError, grpc.RpcError) as error:
        table.add_row(Text("✗", "bold red"), "the story", "", "to go on", f"broke off: {type(error).__name__}")
        right = False
    console.print(table)
    console.print("Why a device was refused is in the operator's log only, never in the answer.")
    return right


def story(running: Running) -> Iterator[Step]:
    """The steps, each taken when it is asked for."""
    description, core = running.description, running.core
    for done in running.onboarding.done:
        yield Step(done.who, "onboarding", done.what, done.outcome, True)
    attached = sum(1 for device in DEVICES if device.framed_address or device.framed_prefix)
    yield Step(CORE, description["radius"]["address"], f"RADIUS: {attached} sessions began", "acknowledged", True)
    partner = Partner(description)
    with NumberVerificationClient(description["grpc"], insecure=True) as api:
        yield from _one_verification(partner, api, description)
        yield from _other_questions(partner, api)
        yield from _other_connections(partner, api)
        yield from _refused_devices(partner, description)
        yield from _exceptions(partner, core)
        yield from _approval(running, api)
        yield from _terms(running)


def _one_verification(partner: Partner, api: NumberVerificationClient, description: dict[str, Any]) -> Iterator[Step]:
    issuer = description["issuer"]
    request = partner.begin()
    yield Step(BANK, "", f"where to authorize at {issuer}", "discovery document", True)
    callback = partner.open_on("phone-1", request)
    yield Step(
        "phone-1", partner.address_of("phone-1"), "GET /oauth2/authorize", "redirect with a code", "code=" in callback
    )
    token = partner.redeem(callback, request)
    yield Step(
        BANK,
        "",
        "POST /oauth2/token, private_key_jwt",
        f"an access token for one call, good for {token.expires_in} s, and an ID token",
        token.id_token is not None,
    )
    verified = api.verify(token.access_token, partner.phone_number_of("phone-1")).verified
    yield Step(BANK, "gRPC", "VerifyPhoneNumber: is it the number typed?", _yes_or_no(verified), verified)
    yield Step(
        BANK,
        "gRPC",
        "the same again, with the token that is used up",
        *_refusal(lambda: api.verify(token.access_token, partner.phone_number_of("phone-1")), Unauthenticated),
    )


def _other_questions(partner: Partner, api: NumberVerificationClient) -> Iterator[Step]:
    number, other = partner.phone_number_of("phone-1"), partner.phone_number_of("phone-2")
    answer = partner.call("POST", "/verify", partner.token_for("phone-1"), {"phoneNumber": number})
    yield Step(BANK, "REST", "POST /verify: is it the number typed?", *_rest(answer, True))
    answer = partner.call("POST", "/verify", partner.token_for("phone-1"), {"phoneNumber": other})
    yield Step(BANK, "REST", "POST /verify with somebody else's number", *_rest(answer, False))
    answer = partner.call("GET", "/device-phone-number", partner.token_for("phone-1"))
    right = answer.body == {"devicePhoneNumber": number}
    yield Step(BANK, "REST", "GET /device-phone-number", f"{answer.status}, the number of phone-1", right)
    verified = api.device_phone_number(partner.token_for("phone-2")).phone_number == other
    yield Step(BANK, "gRPC", "GetDevicePhoneNumber", "the number of phone-2", verified)


def _other_connections(partner: Partner, api: NumberVerificationClient) -> Iterator[Step]:
    for device, kind in (
        ("ipv6", "a device with an IPv6 prefix"),
        ("cgnat", "a device behind CGNAT"),
        ("cgnat-neighbour", "its neighbour on the same public address"),
    ):
        verified = api.verify(partner.token_for(device), partner.phone_number_of(device)).verified
        yield Step(device, partner.address_of(device), f"the whole way: {kind}", _yes_or_no(verified), verified)


def _refused_devices(partner: Partner, description: dict[str, Any]) -> Iterator[Step]:
    for device in description["devices"]:
        if device["outcome"] == "refused":
            name = device["name"]
            answered, expected = _refusal(lambda name=name: partner.token_for(name), OAuthError)  # type: ignore[misc]
            why = f"{answered} (log: {device['reason']})"
            yield Step(name, partner.address_of(name), "GET /oauth2/authorize", why, expected)


def _exceptions(partner: Partner, core: MobileCore) -> Iterator[Step]:
    without_plus = partner.phone_number_of("phone-1").removeprefix("+")
    answer = partner.call("POST", "/verify", partner.token_for("phone-1"), {"phoneNumber": without_plus})
    yield Step(BANK, "REST", "POST /verify without the +", _status(answer), answer.status == 400)
    answer = partner.call("GET", "/device-phone-number", None)
    yield Step(STRANGER, "REST", "GET /device-phone-number without a token", _status(answer), answer.status == 401)
    token = partner.token_for("phone-2")
    core.detach("phone-2")
    yield Step(CORE, "", "RADIUS: the session of phone-2 ended", "acknowledged", True)
    answer = partner.call("GET", "/device-phone-number", token)
    yield Step(BANK, "REST", "GET /device-phone-number, token from before", _status(answer), answer.status == 401)
    core.attach("phone-2")


def _approval(running: Running, api: NumberVerificationClient) -> Iterator[Step]:
    """An application behind a channel partner, whose legal basis is consent."""
    description = running.description
    shop = description["clients"][1]
    partner = Partner(description, shop)
    number = partner.phone_number_of("phone-1")
    verified = api.verify(partner.token_for("phone-1"), number).verified
    yield Step(SHOP, "gRPC", "the whole way, through the channel partner", _yes_or_no(verified), verified)
    answered = _refused(lambda: partner.token_for("phone-2"))
    missing = "phone-2's user never gave consent"
    yield Step(SHOP, partner.address_of("phone-2"), missing, answered, answered == "refused: consent_required")
    token = partner.token_for("phone-1")
    phone_1 = next(device for device in DEVICES if device.name == "phone-1")
    running.onboarding.withdraw(shop["application"], phone_1)
    yield Step(STAFF, "consent", "phone-1's user withdraws consent", "recorded", True)
    time.sleep(A_SECOND)
    answer = partner.call("GET", "/device-phone-number", token)
    dead = answer.status == HTTPStatus.UNAUTHORIZED
    yield Step(SHOP, "REST", "GET /device-phone-number, token from before", _status(answer), dead)
    running.onboarding.consent(shop["application"], phone_1)


def _terms(running: Running) -> Iterator[Step]:
    """A customer that has yet to subscribe, uses its quota up, and is switched off."""
    onboarding = running.onboarding
    customer = onboarding.customer("kiosk", "A kiosk on a trial")
    manager = onboarding.person(customer, "manager", people.ROLE_BUSINESS_MANAGER, people.ROLE_ADMINISTRATOR)
    basis = applications.LEGAL_BASIS_CONTRACT
    client = onboarding.application("kiosk", customer, "", basis, manager, private_jwk())
    partner = Partner(running.description, client.description())
    answered = _refused(lambda: partner.token_for("phone-1"))
    yield Step(KIOSK, "", "a token, before subscription", answered, answered == "refused: unauthorized_client")
    onboarding.subscription(customer, TRIAL, manager)
    yield Step(STAFF, "onboarding", f"subscribe {customer}: {TRIAL_QUOTA} tokens a day", "active", True)
    time.sleep(A_SECOND)
    answers = [_refused(lambda: partner.token_for("phone-1")) for _ in range(TRIAL_QUOTA + 1)]
    expected = ["a token"] * TRIAL_QUOTA + ["refused: QUOTA_EXCEEDED"]
    yield Step(KIOSK, "", f"{TRIAL_QUOTA + 1} tokens", "; ".join(answers), answers == expected)
    onboarding.suspend(client)
    yield Step(STAFF, "onboarding", f"suspend {client.application}", "suspended", True)
    time.sleep(A_SECOND)
    answered = _refused(lambda: partner.token_for("phone-1"))
    yield Step(KIOSK, "", "a token, after suspension", answered, answered == "refused: unauthorized_client")


def _refused(call: Callable[[], object]) -> str:
    """What a request for a token came to."""
    try:
        call()
    except NumberVerificationError as error:
        return f"refused: {error.reason}"
    return "a token"


def _refusal(call: Callable[[], object], expected: type[NumberVerificationError]) -> tuple[str, bool]:
    try:
        call()
    except NumberVerificationError as error:
        return f"refused: {error.reason}", isinstance(error, expected)
    return "not refused", False


def _rest(answer: Any, verified: bool) -> tuple[str, bool]:
    right = answer.status == 200 and answer.body == {"devicePhoneNumberVerified": verified}
    return f"{answer.status} {json.dumps(answer.body)}", right


def _status(answer: Any) -> str:
    return f"{answer.status} {answer.body['code']}"


def _yes_or_no(verified: bool) -> str:
    return "yes" if verified else "no"


@contextmanager
def _log_sent_to(path: Path) -> Iterator[None]:
    """Send the log of this process and of those it starts to a file: mixed with the story, nobody could read either."""
    terminal = os.dup(sys.stderr.fileno())
    with path.open("ab") as log:
        os.dup2(log.fileno(), sys.stderr.fileno())
    try:
        yield
    finally:
        os.dup2(terminal, sys.stderr.fileno())
        os.close(terminal)


def _print_invitation(console: Console, description: dict[str, Any], data_dir: Path) -> None:
    console.print(f"The log: {data_dir / LOG}\n", markup=False, highlight=False)
    number = next(device["phone_number"] for device in description["devices"] if device["name"] == "phone-1")
    token = f".venv/bin/number-verification token --sandbox {data_dir / sandbox.DESCRIPTION} --device"
    body = f'\'{{"phoneNumber": "{number}"}}\''
    method = "numberverification.v2.NumberVerificationService/VerifyPhoneNumber"
    console.print("[bold]Try it yourself[/] (in another terminal; Ctrl-C here stops the sandbox)\n")
    rest = (
        f"curl -si {description['api_root']}/number-verification/v2/verify -H 'Content-Type: application/json' \\\n"
        f'  -H "Authorization: Bearer $({token} phone-1)" -d {body}'
    )
    by_grpc = (
        f".venv/bin/buf curl --protocol grpc --http2-prior-knowledge http://{description['grpc']}/{method} \\\n"
        f'  -H "Authorization: Bearer $({token} phone-1)" -d {body}'
    )
    on_wifi = f"curl -si --interface 127.1.0.7 '{Partner(description).begin().url}'"
    for title, line in (
        ("A token for a device's user, then the question by REST:", rest),
        ("The same by gRPC, through reflection:", by_grpc),
        ("Be a device: your source address is who you are. This one is on Wi-Fi; 127.1.0.1 is phone-1:", on_wifi),
    ):
        console.print(f"{title}\n  {line}\n", markup=False, highlight=False, soft_wrap=True)
