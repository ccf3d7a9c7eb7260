import pytest
from hypothesis import given
from hypothesis import strategies as st

from protoc_gen_rest.httprule import Literal, Plain, Template, TemplateError, Variable, Wildcard, parse

ONE, REST = Wildcard.ONE, Wildcard.REST


def literals(*texts: str) -> tuple[Literal, ...]:
    return tuple(map(Literal, texts))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("/a", Template(literals("a"), "")),
        ("/a/b-c_d.e~f", Template(literals("a", "b-c_d.e~f"), "")),
        ("/*", Template((ONE,), "")),
        ("/**", Template((REST,), "")),
        ("/a/*/b", Template((Literal("a"), ONE, Literal("b")), "")),
        ("/{x}", Template((Variable(("x",), (ONE,)),), "")),
        ("/{x=*}", Template((Variable(("x",), (ONE,)),), "")),
        ("/{x.y_1.Z}", Template((Variable(("x", "y_1", "Z"), (ONE,)),), "")),
        ("/{x=a/*/b/*}", Template((Variable(("x",), (Literal("a"), ONE, Literal("b"), ONE)),), "")),
        ("/{x=a/**}:v", Template((Variable(("x",), (Literal("a"), REST)),), "v")),
        ("/v1/{x=a}", Template((Literal("v1"), Variable(("x",), (Literal("a"),))), "")),
        ("/a:v", Template(literals("a"), "v")),
        ("/**:v", Template((REST,), "v")),
        ("/a%20b", Template(literals("a b"), "")),
        ("/a%3Ab:c", Template(literals("a:b"), "c")),
        ("/%C3%A9", Template(literals("é"), "")),
        ("/$&'()+,;=@!", Template(literals("$&'()+,;=@!"), "")),
    ],
)
def test_tree(text: str, tree: Template) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a",
        "a/b",
        "//",
        "/a/",
        "/a//b",
        "/a b",
        "/a?b",
        "/a#b",
        "/a%2",
        "/a%zz",
        "/%ff",
        "/a%2Fb",
        "/.",
        "/..",
        "/%2E%2E",
        "/%2A",
        "/***",
        "/a*",
        "/*a",
        "/**/a",
        "/{x=**}/a",
        "/{x=**/a}",
        "/{",
        "/{}",
        "/{x",
        "/{x=",
        "/{x=}",
        "/{x=/a}",
        "/{x=a/}",
        "/{1x}",
        "/{x.}",
        "/{.x}",
        "/{x-y}",
        "/{x={y}}",
        "/{x}{y}",
        "/{x}y",
        "/x{y}",
        "/{x=a:b}",
        "/a:",
        "/a:b:c",
        "/a:b/c",
        "/a:*",
        ":a",
        "/{x}/{x}",
        "/é",
        "/a\n",
        "\n/a",
    ],
)
def test_no_template(text: str) -> None:
    with pytest.raises(TemplateError):
        parse(text)


def test_the_message_says_where() -> None:
    with pytest.raises(TemplateError, match=r"^'/a/\{x' ?: `\}` expected at character 6$"):
        parse("/a/{x")


def test_plain_replaces_variables() -> None:
    assert parse("/a/{x=b/*}/**").plain == (Literal("a"), Literal("b"), ONE, REST)


_identifiers = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True)
_texts = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1).filter(
    lambda text: text not in (".", "..", "*", "**")
)
_plain: st.SearchStrategy[Plain] = st.one_of(st.builds(Literal, _texts), st.just(ONE))
_variables = st.builds(
    Variable,
    st.lists(_identifiers, min_size=1, max_size=3).map(tuple),
    st.lists(_plain, min_size=1, max_size=3).map(tuple),
)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    segments: list[Plain | Variable] = draw(
        st.lists(st.one_of(_plain, _variables), min_size=1, max_size=5, unique_by=lambda s: getattr(s, "field_path", s))
    )
    if draw(st.booleans()):
        segments.append(REST)
    return Template(tuple(segments), draw(st.one_of(st.just(""), _texts)))


@given(templates())
def test_round_trip(template: Template) -> None:
    assert parse(str(template)) == template


@given(st.one_of(st.text(), st.text("/{}*=:.%aA1_").map(lambda text: "/" + text)))
def test_any_text_is_a_template_or_a_template_error(text: str) -> None:
    try:
        template = parse(text)
    except TemplateError:
        return
    assert parse(str(template)) == template
