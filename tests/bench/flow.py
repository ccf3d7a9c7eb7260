"""(c) The whole flow: the device authorizes, the backend redeems the code, the backend verifies the number."""

import base64
import hashlib
import re
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from bench.context import Context
from bench.loads import loop
from bench.loads.http1 import Http1, request
from bench.measure import Sample, Spread, busy, in_turn, microseconds, rate, ratio, spread
from bench.population import address, phone_number
from bench.processes import LOOPBACK, Server, Service, bare, service
from bench.report import Report, Row, at_most, of, thousands
from bench.rest_verify import CONNECTIONS, PROOF, verification
from number_verification.authorization.client_assertion import ASSERTION_TYPE
from number_verification.authorization.discovery import AUTHORIZE_PATH, TOKEN_PATH
from number_verification_client.assertion import client_assertion

_CAPTION = (
    f"Every flow is one code, one token, one verification, over {CONNECTIONS} kept connections: first all "
    "authorizations from the devices' addresses, then all redemptions, then all verifications by REST, so that each "
    "step can be told. Client assertions (ES256) are signed beforehand. The baseline takes the same requests and "
    "answers at once: what HTTP alone costs. "
)
_WARM_UP = 2 * CONNECTIONS
_DEVICES = [socket.inet_ntoa(address(serial)) for serial in range(CONNECTIONS)]
_BACKEND = [LOOPBACK] * CONNECTIONS
_VERIFIER = secrets.token_urlsafe(48)
_CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(_VERIFIER.encode()).digest()).rstrip(b"=").decode()
_code = re.compile(rb"[?&]code=([A-Za-z0-9_-]+)").search
_token = re.compile(rb'"access_token":\s*"([A-Za-z0-9_-]+)"').search
_SCOPES = "dpv:FraudPreventionAndDetection number-verification:verify"


class _Steps(NamedTuple):
    """One sample for each step."""

    authorize: Sample
    token: Sample
    verify: Sample

    @property
    def whole(self) -> Sample:
        """As if every step had been taken as often as the last one: the others warm those up that follow."""
        flows = self.verify.requests
        each = [(step.seconds / step.requests, step.cpu / step.requests) for step in self]
        return Sample(flows, sum(seconds for seconds, _ in each) * flows, sum(cpu for _, cpu in each) * flows)


class _Flows:
    """Flows for one set of scopes."""

    def __init__(self, context: Context, served: Service, echo: Server, scopes: str) -> None:
        self._context = context
        self._served = served
        self._echo = echo
        self._number = context.requests // 4
        client = served.description["clients"][0]
        self._client_id, self._key = client["client_id"], client["private_jwk"]
        self._redirect_uri = client["redirect_uri"]
        query = urlencode(
            {
                "response_type": "code",
                "client_id": self._client_id,
                "redirect_uri": self._redirect_uri,
                "scope": scopes,
                "state": secrets.token_urlsafe(16),
                "code_challenge": _CHALLENGE,
                "code_challenge_method": "S256",
                **({"nonce": secrets.token_urlsafe(16)} if "openid" in scopes else {}),
            }
        )
        self._authorization = request("GET", f"{AUTHORIZE_PATH}?{query}", {})
        self.steps: list[_Steps] = []

    def measure(self) -> Sample:
        """As many flows as belong to one measurement. Each step leaves its warm-up behind."""
        authorizations = [self._authorization] * (self._number + 3 * _WARM_UP)
        authorized = self._send(authorizations, b"302 ", _DEVICES)
        redemptions = [self._redemption(_found(_code, answer)) for answer in authorized.answers]
        redeemed = self._send(redemptions, b"200 ", _BACKEND)
        # Which device a token is about follows from its place: every connection is another device.
        verifications = [
            verification(_found(_token, answer), phone_number(index % CONNECTIONS))
            for index, answer in enumerate(redeemed.answers)
        ]
        verified = self._send(verifications, PROOF, _BACKEND)
        self.steps.append(_Steps(authorized.sample, redeemed.sample, verified.sample))
        return self.steps[-1].whole

    def measure_echo(self) -> Sample:
        """The same requests, answered by nobody who thinks about them."""
        token = secrets.token_urlsafe(32)
        samples = []
        for each in (self._authorization, self._redemption(token), verification(token, phone_number(0))):
            connect = [partial(Http1, (LOOPBACK, self._echo.port))] * CONNECTIONS
            load = loop.Load(connect, 1, [each] * (self._number + _WARM_UP), _WARM_UP, self._echo.processes)
            samples.append(self._context.generate(loop.run, load).sample)
        return _Steps(*samples).whole

    def _send(self, requests: Sequence[bytes], proof: bytes, sources: Sequence[str]) -> loop.Measured:
        connect = [partial(Http1, self._served.http, source) for source in sources]
        load = loop.Load(connect, 1, requests, _WARM_UP, self._served.processes, proof)
        return self._context.generate(loop.run, load)

    def _redemption(self, code: str) -> bytes:
        assertion = client_assertion(self._client_id, self._key, self._served.description["issuer"])
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": _VERIFIER,
            "client_id": self._client_id,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return request("POST", TOKEN_PATH, headers, urlencode(form).encode())


def measure(context: Context) -> list[Report]:
    """Flows with and without an ID token, beside bare answers to the same requests."""
    with (
        service(context.directory / "flow", context.cores, context.sessions[0]) as served,
        bare("wsgi_echo", context.cores) as echo,
    ):
        flows = _Flows(context, served, echo, _SCOPES)
        with_id_token = _Flows(context, served, echo, f"openid {_SCOPES}")
        samples = in_turn(
            context.rounds,
            {"flow": flows.measure, "openid": with_id_token.measure, "echo": flows.measure_echo},
        )
    rows = []
    for name, what, each in (
        ("flow", "authorize → token → verify", flows),
        ("openid", "with openid: and an ID token", with_id_token),
    ):
        cost = microseconds(samples[name])
        rows.append(
            Row(
                what,
                of(cost),
                thousands(rate(samples[name]).median),
                "three bare answers",
                of(microseconds(samples["echo"])),
                of(ratio(samples[name], samples["echo"]), 1),
                at_most(cost.median, 600, "{} µs"),
            )
        )
        for step in _Steps._fields:
            found = [getattr(steps, step) for steps in each.steps]
            rows.append(Row(f"· {step}", of(microseconds(found)), thousands(rate(found).median)))
    signing, verifying = _signatures()
    rows.append(Row("to check ES256, in process", of(verifying)))
    rows.append(Row("to sign ES256, in process", of(signing)))
    return [Report("(c) The whole flow", "CPU µs a flow", rows, _CAPTION + busy(samples))]


def _found(search: Callable[[bytes], re.Match[bytes] | None], answer: bytes) -> str:
    found = search(answer)
    if found is None:
        raise ConnectionError("an answer did not bring what comes next")
    return found[1].decode()


def _signatures() -> tuple[Spread, Spread]:
    """What cryptography takes to sign and to verify with ES256, in microseconds."""
    key, algorithm, message = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256()), bytes(300)
    signature = key.sign(message, algorithm)
    public = key.public_key()
    signing = [_timed(lambda: key.sign(message, algorithm)) for _ in range(5)]
    verifying = [_timed(lambda: public.verify(signature, message, algorithm)) for _ in range(5)]
    return spread(signing), spread(verifying)


def _timed(call: Callable[[], object], times: int = 200) -> float:
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times * 1e6
