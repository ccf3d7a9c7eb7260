"""The token endpoint: which client may have which grant, what is counted, and what is given back."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from number_verification.authorization import code as codes
from number_verification.authorization import jose
from number_verification.authorization import note as notes
from number_verification.authorization.access_tokens import AccessTokens
from number_verification.authorization.authorize import AuthorizationEndpoint
from number_verification.authorization.client_assertion import ASSERTION_TYPE
from number_verification.authorization.client_credentials import ClientCredentials
from number_verification.authorization.client_keys import Client, ClientKeys
from number_verification.authorization.code_exchange import CodeExchange
from number_verification.authorization.http_fetch import fetch_document
from number_verification.authorization.id_token import IdTokens
from number_verification.authorization.oauth import OAuthError
from number_verification.authorization.signing_keys import SigningKeys
from number_verification.authorization.token_endpoint import TokenEndpoint
from number_verification.domain import clock
from number_verification.domain.application import NO_LIMITS, Application, Flow, LegalBasis, Limits
from number_verification.domain.attribution import LiveSession
from number_verification.domain.clock import SECOND
from number_verification.domain.faults import StoreUnavailable
from number_verification.domain.grant import SessionAnchor
from number_verification.domain.location import LocatedDevice
from number_verification.domain.onboarding.principal import Principal, PrincipalClient
from number_verification.domain.refusal import Kind, Reason, Refusal
from number_verification.domain.session import Ipv4Address, SessionKey, SessionRecord, Subscriber
from number_verification.registry.allowances import SqlAllowances
from number_verification.registry.database import migrate, open_database
from unit.authorization.http import form, get
from unit.authorization.origin_server import OriginServer, reply
from unit.authorization.support import EC, RSA, DictStore, mint, public

ISSUER = "https://issuer.example"
AUDIENCE = f"{ISSUER}/oauth2/token"
VERIFY, FRAUD, SERVICE = "number-verification:verify", "dpv:FraudPreventionAndDetection", "dpv:ServiceProvision"
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-4.1"
CHALLENGE = "f728C9ybU3aPnlgkBXXzqPPFV0yH3V07JCIOpCTRQL8"
CALLBACK = "https://bank.example/cb"
SUBSCRIBER = Subscriber("999990000000001", "+990555000001")
ADDRESS = Ipv4Address("", b"\x0a\0\0\1")
SESSION = SessionRecord(SessionKey("pgw", "s-1"), started=1, first_seen=1, last_seen=1, ended=0)
BANK = Application(
    client_id="bank",
    name="organizations/bank/applications/bank",
    customer="organizations/bank",
    channel_partner="organizations/aggregator",
    jwks=public(EC),
    jwks_uri="",
    redirect_uris=frozenset({CALLBACK}),
    flows=frozenset({Flow.AUTHORIZATION_CODE}),
    scopes=frozenset({"openid", VERIFY, FRAUD}),
    legal_bases={FRAUD: LegalBasis.CONSENT},
)
ADA = PrincipalClient(Principal("organizations/bank/people/ada", frozenset({"user"})), "ada", public(EC))


class Allowances:
    """The real ones, whose use is noted and which can be made to fail."""

    def __init__(self, engine: Engine) -> None:
        self._sql = SqlAllowances(engine)
        self.asked: list[str] = []
        self.down = ""

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if self.down == what:
            raise StoreUnavailable("the registry cannot be reached")

    def spend(self, client_id: str, limits: Limits, now: int) -> Any:
        self._note("spend")
        return self._sql.spend(client_id, limits, now)

    def refund(self, client_id: str, limits: Limits, now: int) -> None:
        self._note("refund")
        self._sql.refund(client_id, limits, now)


class Server:
    """An authorization server whose clients, devices and approvals a test sets as it likes."""

    def __init__(self, directory: Path, engine: Engine) -> None:
        self.clients: dict[str, Client] = {"bank": BANK, "ada": ADA}
        self.store = DictStore()
        self.allowances = Allowances(engine)
        self.objecting: Reason | None = None
        self.asked: list[tuple[str, frozenset[str]]] = []
        self.there: Subscriber | Reason = SUBSCRIBER
        self.now = clock.now()
        keys = SigningKeys(directory)
        self.credentials = ClientCredentials(ISSUER, keys, self.clock)
        exchange = CodeExchange(
            self.store, IdTokens(ISSUER, keys, bytes(32)), lambda _: self.there, self, 300 * SECOND, self.clock
        )
        self.token = TokenEndpoint(
            frozenset({AUDIENCE}),
            self.clients.get,
            ClientKeys(fetch_document),
            self.store,
            self.allowances,
            exchange,
            self.credentials,
            self.clock,
        )
        self.authorize = AuthorizationEndpoint(ISSUER, self, lambda _: self.device(), self, self.store, self.clock)
        self._assertions = 0

    def clock(self) -> int:
        return self.now

    def find(self, client_id: str) -> Application | None:
        client = self.clients.get(client_id)
        return client if isinstance(client, Application) else None

    def device(self) -> LocatedDevice | Reason:
        if isinstance(self.there, Reason):
            return self.there
        return LocatedDevice(LiveSession(self.there, (SESSION,)), ADDRESS)

    def objection(
        self, subscriber: Subscriber, application: Application, purpose: str, scopes: frozenset[str], now: int
    ) -> Reason | None:
        assert (subscriber, now) == (SUBSCRIBER, self.now)
        self.asked.append((purpose, scopes))
        return self.objecting

    def withdrawal(self, *_: object) -> Reason | None:
        raise AssertionError("that is for calls")

    def code(self, scopes: frozenset[str] = BANK.scopes) -> str:
        anchor = SessionAnchor(SESSION.key, 1, SUBSCRIBER, ADDRESS)
        return codes.issue(
            codes.Authorization("bank", CALLBACK, scopes, CHALLENGE, "", self.now, anchor), self.store, self.now
        )

    def post(self, client_id: str = "bank", key: Any = EC, alg: str = "ES256", **changes: str | None) -> Any:
        """A token request. Parameters that are None are left out; `DPOP` is a header."""
        self._assertions += 1
        seconds = self.now // 1000
        claims = {
            "iss": client_id, "sub": client_id, "aud": AUDIENCE, "iat": seconds, "exp": seconds + 60,
            "jti": str(self._assertions),
        }  # fmt: skip
        headers = {"DPOP": changes.pop("DPOP")} if "DPOP" in changes else {}
        good: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": mint(claims, key, alg, typ="JWT"),
        }
        if changes.get("grant_type", "authorization_code") == "authorization_code" and "code" not in changes:
            good["code"] = self.code()
        sent = {name: value for name, value in {**good, **changes}.items() if value is not None}
        notes.begin()
        return self.token(form(sent, **{name: value for name, value in headers.items() if value}))

    def refused(self, *arguments: Any, **changes: Any) -> tuple[int, str, Reason, int | None]:
        with pytest.raises(OAuthError) as refused:
            self.post(*arguments, **changes)
        error = refused.value
        return error.status, error.error, error.reason, error.retry_after


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{tmp_path / 'registry.db'}")
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def server(tmp_path: Path, engine: Engine) -> Server:
    return Server(tmp_path / "keys", engine)


def test_a_token_carries_whom_it_is_for(server: Server) -> None:
    token = json.loads(server.post().body)["access_token"]
    grant = AccessTokens(server.store, {}, server.clock)(token)
    assert (grant.application, grant.customer, grant.channel_partner) == (
        BANK.name,
        BANK.customer,
        BANK.channel_partner,
    )
    assert notes.current().application is BANK
    assert server.asked == [(FRAUD, BANK.scopes)]


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"objection": Reason.CUSTOMER_SUSPENDED}, (400, "unauthorized_client", Reason.CUSTOMER_SUSPENDED)),
        ({"objection": Reason.NOT_SUBSCRIBED}, (400, "unauthorized_client", Reason.NOT_SUBSCRIBED)),
        ({"flows": frozenset({Flow.CIBA})}, (400, "unauthorized_client", Reason.FLOW_NOT_ALLOWED)),
        ({"requires_dpop": True}, (400, "invalid_dpop_proof", Reason.DPOP_MISSING)),
        ({"scopes": frozenset({"openid", FRAUD})}, (400, "invalid_grant", Reason.SCOPE_MISSING)),
        ({"scopes": frozenset({"openid", VERIFY})}, (400, "invalid_grant", Reason.PURPOSE_NOT_ALLOWED)),
    ],
    ids=lambda value: str(value[1:]) if isinstance(value, tuple) else "",
)
def test_what_an_application_may_not_have(
    server: Server, change: dict[str, Any], outcome: tuple[int, str, Reason]
) -> None:
    """Its plan counts as it is now, not as it was when the device authorized."""
    server.clients["bank"] = changed = replace(BANK, **change)
    assert server.refused() == (*outcome, None)
    # Who was refused is known all the same: it had the key.
    assert notes.current().application is changed


def test_a_dpop_proof_is_not_believed_unread(server: Server) -> None:
    server.clients["bank"] = replace(BANK, requires_dpop=True)
    assert server.refused(DPOP="a.b.c") == (400, "invalid_dpop_proof", Reason.DPOP_MISSING, None)
    # Refused before anything was used: the code is still good once the application does without.
    code = server.code()
    server.refused(code=code)
    server.clients["bank"] = BANK
    assert server.post(code=code).status == 200


@pytest.mark.parametrize("reason", [Reason.CONSENT_MISSING, Reason.CONSENT_WITHDRAWN, Reason.OPTED_OUT])
def test_the_subscriber_does_not_agree_any_more(server: Server, reason: Reason) -> None:
    server.objecting = reason
    assert server.refused() == (400, "invalid_grant", reason, None)


LIMITED = replace(BANK, limits=Limits(rate=0.5, burst=2))


def test_a_rate(server: Server) -> None:
    server.clients["bank"] = LIMITED
    assert [server.post().status for _ in range(2)] == [200, 200]
    code = server.code()
    status, error, reason, retry_after = server.refused(code=code)
    assert (status, error, reason) == (429, "too_many_requests", Reason.APPLICATION_RATE)
    assert retry_after is not None
    server.now += retry_after * SECOND
    # Whoever was told to wait has lost nothing by it.
    assert server.post(code=code).status == 200


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(daily_quota=1), Reason.DAILY_QUOTA), (Limits(monthly_quota=1), Reason.MONTHLY_QUOTA)],
)
def test_a_quota(server: Server, limits: Limits, reason: Reason) -> None:
    server.clients["bank"] = replace(BANK, limits=limits)
    assert server.post().status == 200
    status, error, told, retry_after = server.refused()
    assert (status, error, told) == (429, "quota_exceeded", reason)
    assert retry_after is not None
    server.now += retry_after * SECOND
    assert server.post().status == 200


def nothing_asked(server: Server) -> None:
    assert server.allowances.asked == []


def test_nothing_is_counted_where_nothing_is_limited(server: Server) -> None:
    assert LIMITED.limits != NO_LIMITS == BANK.limits
    server.post()
    nothing_asked(server)


def test_a_client_that_is_not_authenticated_spends_nothing(server: Server) -> None:
    server.clients["bank"] = LIMITED
    assert server.refused(key=RSA, alg="RS256")[1] == "invalid_client"
    assert server.refused(grant_type="client_credentials")[1] == "unauthorized_client"
    assert server.refused(grant_type=None)[1] == "invalid_request"
    assert server.refused(code=None)[1] == "invalid_request"
    nothing_asked(server)


def gone(server: Server) -> None:
    server.there = Reason.SESSION_ENDED


def objecting(server: Server) -> None:
    server.objecting = Reason.OPTED_OUT


def store_down(server: Server) -> None:
    def put(*_: object) -> None:
        raise StoreUnavailable("one-time: the store is down")

    server.store.put = put  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("prepare", "changes"),
    [
        (None, {"code": "unknown"}),
        (None, {"redirect_uri": "https://other.example/"}),
        (None, {"code_verifier": "wrong" * 10}),
        (gone, {}),
        (objecting, {}),
        (store_down, {}),
    ],
)
def test_what_gives_no_token_is_given_back(
    server: Server, prepare: Callable[[Server], None] | None, changes: dict[str, str]
) -> None:
    server.clients["bank"] = replace(BANK, limits=Limits(daily_quota=1))
    changes = {"code": server.code(), **changes}
    put = server.store.put
    if prepare is not None:
        prepare(server)
    for _ in range(3):
        with pytest.raises((OAuthError, StoreUnavailable)) as refused:
            server.post(**changes)
        assert getattr(refused.value, "status", 503) != 429
    assert server.allowances.asked == ["spend", "refund"] * 3
    server.there, server.objecting, server.store.put = SUBSCRIBER, None, put  # type: ignore[method-assign]
    assert server.post().status == 200
    assert server.refused()[:2] == (429, "quota_exceeded")


def test_an_answer_that_is_withheld_is_given_back(server: Server) -> None:
    """What cannot be recorded is not given out (`oauth_endpoint`)."""
    server.clients["bank"] = replace(BANK, limits=Limits(daily_quota=1))
    server.post()
    withheld = notes.current().withheld
    assert withheld is not None
    withheld()
    assert server.post().status == 200


def test_a_registry_that_is_down(server: Server) -> None:
    server.clients["bank"] = LIMITED
    code = server.code()
    server.allowances.down = "spend"
    with pytest.raises(StoreUnavailable):
        server.post(code=code)
    server.allowances.down = "refund"
    # What went wrong first is told, not that it could not be given back.
    assert server.refused(code="unknown")[1] == "invalid_grant"
    server.allowances.down = ""
    assert server.post(code=code).status == 200


def test_a_principal_gets_a_token_of_its_own_kind(server: Server) -> None:
    answer = server.post("ada", grant_type="client_credentials")
    content = json.loads(answer.body)
    assert set(content) == {"access_token", "token_type", "expires_in"}
    assert (content["token_type"], content["expires_in"]) == ("Bearer", 300)
    assert ("Cache-Control", "no-store") in answer.headers
    assert notes.current().principal == "organizations/bank/people/ada"
    token = content["access_token"]
    assert server.credentials.identify(token) == "ada"
    assert server.credentials.identify(token) == "ada"
    nothing_asked(server)


def test_what_a_token_of_a_principal_says(server: Server) -> None:
    token = json.loads(server.post("ada", grant_type="client_credentials").body)["access_token"]
    header, claims = jose.verify(
        token, server.credentials.keys, algorithms=frozenset({"ES256"}), types=frozenset({"at+jwt"})
    )
    assert header["typ"] == "at+jwt"
    assert set(claims) == {"iss", "sub", "aud", "client_id", "iat", "exp", "jti"}
    assert (claims["iss"], claims["aud"]) == (ISSUER, f"{ISSUER}/internal")
    assert claims["sub"] == claims["client_id"] == "ada"
    assert claims["exp"] - claims["iat"] == 300


def test_a_token_of_a_principal_is_nothing_to_the_api(server: Server) -> None:
    """Seen to fail with our own issuer among the external ones, which the configuration refuses."""
    token = json.loads(server.post("ada", grant_type="client_credentials").body)["access_token"]
    with pytest.raises(Refusal) as refused:
        AccessTokens(server.store, {}, server.clock)(token)
    assert (refused.value.kind, refused.value.reason) == (Kind.UNAUTHENTICATED, Reason.TOKEN_ISSUER)


@pytest.mark.parametrize("name", ["access_token", "id_token"])
def test_what_an_application_gets_is_nothing_to_internal_services(server: Server, name: str) -> None:
    with pytest.raises(Refusal) as refused:
        server.credentials.identify(json.loads(server.post().body)[name])
    assert refused.value.kind is Kind.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("client", "changes", "outcome"),
    [
        ("bank", {"grant_type": "client_credentials"}, (400, "unauthorized_client", Reason.FLOW_NOT_ALLOWED)),
        ("ada", {}, (400, "unauthorized_client", Reason.FLOW_NOT_ALLOWED)),
        ("ada", {"grant_type": "client_credentials", "scope": VERIFY}, (400, "invalid_scope", Reason.SCOPE_MISSING)),
        ("ada", {"grant_type": "refresh_token"}, (400, "unsupported_grant_type", Reason.INPUT_MALFORMED)),
        ("ada", {"grant_type": None}, (400, "invalid_request", Reason.INPUT_MALFORMED)),
    ],
)
def test_grants_of_somebody_else(
    server: Server, client: str, changes: dict[str, Any], outcome: tuple[int, str, Reason]
) -> None:
    assert server.refused(client, **changes) == (*outcome, None)


def test_a_suspended_person(server: Server) -> None:
    server.clients["ada"] = replace(ADA, objection=Reason.PERSON_SUSPENDED)
    refused = server.refused("ada", grant_type="client_credentials")
    assert refused == (400, "unauthorized_client", Reason.PERSON_SUSPENDED, None)
    assert notes.current().principal == "organizations/bank/people/ada"


def test_keys_that_the_client_publishes(server: Server) -> None:
    with OriginServer(reply(json.dumps(public(RSA)).encode())) as origin:
        server.clients["bank"] = replace(BANK, jwks={}, jwks_uri=origin.uri)
        assert server.post(key=RSA, alg="RS256").status == 200
        assert server.refused()[1] == "invalid_client"
    server.clients["bank"] = replace(BANK, jwks={}, jwks_uri="http://127.0.0.1:9/nobody")
    status, error, reason, retry_after = server.refused(key=RSA, alg="RS256")
    assert (status, error, reason) == (503, "temporarily_unavailable", Reason.ISSUER_UNREACHABLE)
    assert retry_after


def authorization_error(server: Server, **changes: str) -> tuple[str, Reason]:
    good = {
        "response_type": "code", "client_id": "bank", "redirect_uri": CALLBACK, "scope": f"{VERIFY} {FRAUD}",
        "code_challenge": CHALLENGE, "code_challenge_method": "S256",
    }  # fmt: skip
    with pytest.raises(OAuthError) as refused:
        server.authorize(get({**good, **changes}))
    redirect = refused.value.redirect
    assert redirect is not None
    assert f"error={refused.value.error}&" in dict(redirect.headers)["Location"]
    return refused.value.error, refused.value.reason


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"objection": Reason.APPLICATION_RETIRED}, ("unauthorized_client", Reason.APPLICATION_RETIRED)),
        ({"flows": frozenset()}, ("unauthorized_client", Reason.FLOW_NOT_ALLOWED)),
        ({"requires_signed_request": True}, ("invalid_request", Reason.SIGNED_REQUEST_MISSING)),
        ({"scopes": frozenset({FRAUD})}, ("invalid_scope", Reason.SCOPE_MISSING)),
        ({"scopes": frozenset({VERIFY, SERVICE})}, ("invalid_scope", Reason.PURPOSE_NOT_ALLOWED)),
        ({"scopes": frozenset()}, ("invalid_scope", Reason.SCOPE_MISSING)),
    ],
    ids=lambda value: str(value) if isinstance(value, tuple) else "",
)
def test_what_an_application_may_not_authorize(
    server: Server, change: dict[str, Any], outcome: tuple[str, Reason]
) -> None:
    server.clients["bank"] = replace(BANK, **change)
    assert authorization_error(server) == outcome
    assert server.asked == []


def test_a_signed_request_is_not_believed_unread(server: Server) -> None:
    server.clients["bank"] = replace(BANK, requires_signed_request=True)
    assert authorization_error(server, request="a.b.c")[0] == "request_not_supported"


def test_the_subscriber_is_asked_for_after_the_device_was_located(server: Server) -> None:
    server.objecting = Reason.CONSENT_MISSING
    server.there = Reason.OFF_NET
    assert authorization_error(server) == ("access_denied", Reason.OFF_NET)
    assert server.asked == []
    server.there = SUBSCRIBER
    assert authorization_error(server) == ("consent_required", Reason.CONSENT_MISSING)
    assert server.asked == [(FRAUD, frozenset({VERIFY, FRAUD}))]
