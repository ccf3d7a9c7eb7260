"""(c) The whole flow: the device authorizes, the backend redeems the code, the backend verifies the number."""

import base64
import hashlib
import json
import re
import secrets
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
from bench.processes import LOOPBACK, Service, bare, service
from bench.report import Report, Row, at_most, of, thousands
from bench.rest_verify import CONNECTIONS, PROOF, verification
from number_verification.authorization.client_assertion import ASSERTION_TYPE
from number_verification.authorization.discovery import AUTHORIZE_PATH, TOKEN_PATH
from number_verification_client.assertion import client_assertion

_CAPTION = (
    f"Every flow is one code, one token, one verification, over {CONNECTIONS} kept connections: first all "
    "authorizations from the device's address, then all redemptions, then all verifications by REST, so that each step "
    "can be told. Client assertions (ES256) are signed beforehand. The baseline takes the same requests and answers at "
    "once: what HTTP alone costs. "
)
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
        return Sample(self.verify.requests, sum(s.seconds for s in self), sum(s.cpu for s in self))


class _Flows:
    """Flows for one set of scopes."""

    def __init__(self, context: Context, served: Service, echo: tuple[int, Sequence[int]], scopes: str) -> None:
        self._context = context
        self._served = served
        self._echo = echo
        self._number = context.requests // 4
        self._warm_up = self._number // 10
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
        self._body = json.dumps({"phoneNumber": served.phone_number}).encode()
        self.steps: list[_Steps] = []

    def measure(self) -> Sample:
        """As many flows as belong to one measurement."""
        warmed = self._number + self._warm_up
        authorized = self._send([self._authorization] * (2 * warmed), warmed, b"302 ", self._served.device_address)
        codes = [found[1].decode() for answer in authorized.answers if (found := _code(answer))]
        redeemed = self._send([self._redemption(code) for code in codes], 0, b"200 ")
        tokens = [found[1].decode() for answer in redeemed.answers if (found := _token(answer))]
        verified = self._send([verification(token, self._body) for token in tokens], 0, PROOF)
        self.steps.append(_Steps(authorized.sample, redeemed.sample, verified.sample))
        return self.steps[-1].whole

    def measure_echo(self) -> Sample:
        """The same requests, answered by nobody who thinks about them."""
        token = secrets.token_urlsafe(32)
        redemption = self._redemption(token)
        samples = []
        port, processes = self._echo
        for message in (self._authorization, redemption, verification(token, self._body)):
            messages = [message] * (self._number + self._warm_up)
            load = loop.Load(partial(Http1, (LOOPBACK, port)), CONNECTIONS, 1, messages, self._warm_up, processes)
            samples.append(self._context.generate(loop.run, load).sample)
        return _Steps(*samples).whole

    def _send(self, requests: Sequence[bytes], warm_up: int, proof: bytes, source: str = LOOPBACK) -> loop.Measured:
        connect = partial(Http1, self._served.http, source)
        load = loop.Load(connect, CONNECTIONS, 1, requests, warm_up, self._served.processes, proof)
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
    with service(context.directory / "flow", context.cores) as served, bare("wsgi_echo", context.cores) as echo:
        bare_server = (echo.port, echo.processes)
        flows = _Flows(context, served, bare_server, _SCOPES)
        with_id_token = _Flows(context, served, bare_server, f"openid {_SCOPES}")
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
