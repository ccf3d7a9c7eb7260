"""One list of interceptors, in one order, for both transports (design: the way of a request)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from number_verification import app, grpc_server
from number_verification.app import Listeners
from number_verification.config import Settings, parse
from number_verification.gen.routes import ROUTES
from number_verification.gen.rules import ACCESS_RULES
from number_verification.interceptors import FRAME, chain, compose
from number_verification.listener_settings import listen_address
from number_verification.listening import bound_address, reserve
from number_verification.rest.api import RestApi
from number_verification.services import handlers

ORDER = [
    "CorrelatorInterceptor",
    "ObserveInterceptor",
    "ErrorsInterceptor",
    "AuditInterceptor",
    "LimitsInterceptor",
    "TokenInterceptor",
    "OriginInterceptor",
    "ValidationInterceptor",
]


def the_list(**changes: Any) -> tuple[Any, ...]:
    parts: dict[str, Any] = {
        "rules": {},
        "audit": None,
        "buckets": None,
        "access": None,
        "callers": None,
        "origin": None,
    }
    return chain(**{**parts, **changes})


def test_the_order() -> None:
    assert [type(interceptor).__name__ for interceptor in the_list()] == ORDER


def test_what_frames_every_answer() -> None:
    assert ORDER[:FRAME] == ORDER[: ORDER.index("TokenInterceptor")]


def test_the_first_is_the_outermost() -> None:
    entered: list[int] = []

    class Noting:
        def __init__(self, number: int) -> None:
            self.number = number

        def intercept(self, method: Any, request: Any, context: Any, name: str) -> Any:
            entered.append(self.number)
            assert name == "/s/M"
            return method(request, context)

    behaviour = compose([Noting(1), Noting(2), Noting(3)], "/s/M", lambda request, _: request)  # type: ignore[list-item]
    assert behaviour("request", None) == "request"  # type: ignore[arg-type]
    assert entered == [1, 2, 3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    key = ECKey.generate_key("P-256", auto_kid=True).as_dict(private=False)
    return parse(
        {
            "data_dir": tmp_path,
            "issuer": "http://127.0.0.1:1",
            "internal": {
                "listen": "127.0.0.1:0",
                "http_listen": "127.0.0.1:0",
                "services": [{"name": "core", "roles": ["session-read"], "token_sha256": "0" * 64}],
            },
            "network": {"direct": [{"network": "10.0.0.0/8"}], "apns": ["internet"]},
            "external_issuers": [{"issuer": "https://x.example", "audience": "x", "jwks": {"keys": [key]}}],
            "store": {"session_megabytes": 2, "one_time_megabytes": 2},
        }
    )


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    with reserve(listen_address("127.0.0.1:0")) as one, reserve(listen_address("127.0.0.1:0")) as two:
        first, second = map(bound_address, (one, two))
        nobody = listen_address("127.0.0.1:1")
        yield Listeners(nobody, first, second, radius=None, admin=nobody, internal_http=nobody)


def test_both_transports_run_the_same_list(
    settings: Settings, listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not two lists that are equal today: the same objects."""
    composed: list[tuple[str, tuple[int, ...]]] = []

    def noting(interceptors: Any, method: str, behaviour: Any) -> Any:
        composed.append((method, tuple(map(id, interceptors))))
        return compose(interceptors, method, behaviour)

    lists: list[int] = []
    rest_init, grpc_init = RestApi.__init__, grpc_server.GrpcServer.__init__

    def rest(self: RestApi, transcoder: Any, behaviours: Any, interceptors: Any) -> None:
        lists.append(id(interceptors))
        rest_init(self, transcoder, behaviours, interceptors)

    def by_grpc(self: Any, settings: Any, address: Any, methods: Any, interceptors: Any) -> None:
        lists.append(id(interceptors))
        grpc_init(self, settings, address, methods, interceptors)

    monkeypatch.setattr(app, "compose", noting)
    monkeypatch.setattr(handlers, "compose", noting)
    monkeypatch.setattr(RestApi, "__init__", rest)
    monkeypatch.setattr(grpc_server.GrpcServer, "__init__", by_grpc)
    service = app.build(settings, listeners)
    service.stop()
    assert len(lists) == 4  # public and internal, each by both
    assert len(set(lists)) == 1
    by_method: dict[str, list[tuple[int, ...]]] = {}
    for method, interceptors in composed:
        by_method.setdefault(method, []).append(interceptors)
    assert len({interceptors for found in by_method.values() for interceptors in found}) == 1
    for route in ROUTES:
        assert len(by_method[route.rpc]) == 2  # once by gRPC, once by REST
    assert set(by_method) == set(ACCESS_RULES)


def test_every_method_that_is_served_has_a_rule_and_no_public_route_is_for_internal_callers() -> None:
    for route in ROUTES:
        assert ACCESS_RULES[route.rpc].caller.name == ("INTERNAL_SERVICE" if route.internal else "API_CONSUMER")
    for rule in ACCESS_RULES.values():
        assert bool(rule.scopes) != bool(rule.roles)
