from number_verification.domain.contract import AccessRule, Caller, FieldRule, MessageRules, OriginNeed
from number_verification.rest.tables import Api, PathVariable, QueryParameter, Route
from protoc_gen_rest.emit import routes_module, rules_module


def run(source: str) -> dict[str, object]:
    scope: dict[str, object] = {}
    exec(compile(source, "generated", "exec"), scope)  # noqa: S102 - our own output
    return scope


def test_rules_come_back() -> None:
    access = {"/p.S/M": AccessRule(Caller.API_CONSUMER, frozenset({"b", "a"}), OriginNeed.NONE, frozenset())}
    messages = {
        "p.M": MessageRules(
            fields=(FieldRule("quotes", True, "^['\"\\\\]$"), FieldRule("long" * 30, max_length=3)), nested=("x",)
        )
    }
    scope = run(rules_module(access, messages))
    assert scope["ACCESS_RULES"] == access
    assert scope["MESSAGE_RULES"] == messages


def test_routes_come_back() -> None:
    route = Route(
        "GET",
        "/a/{x}:v",
        ("a", "*"),
        "v",
        (PathVariable(("x", "y"), 1, None),),
        (QueryParameter("a.bC", ("a", "b_c")),),
        "",
        False,
        "out",
        "/p.S/M",
        "p.A",
        "p.B",
        "doIt",
    )
    scope = run(routes_module([Api("/a", "openapi/a")], [route]))
    assert scope["ROUTES"] == (route,)
    assert scope["APIS"] == (Api("/a", "openapi/a"),)


def test_nothing_to_expose() -> None:
    scope = run(routes_module([], []))
    assert scope["ROUTES"] == ()
    assert run(rules_module({}, {}))["ACCESS_RULES"] == {}


def test_marked() -> None:
    assert "DO NOT EDIT" in routes_module([], [])
    assert "DO NOT EDIT" in rules_module({}, {})
