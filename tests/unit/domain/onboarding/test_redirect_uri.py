from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.onboarding.redirect_uri import MAX_LENGTH, fault

LONGEST = "https://bank.example/" + "a" * (MAX_LENGTH - 21)


@pytest.mark.parametrize(
    "uri",
    [
        "https://bank.example/callback",
        "https://bank.example",
        "https://bank.example/callback?app=1",
        "https://bank.example:8443/a/b%20c",
        "https://BANK.example/callback",
        "https://192.0.2.1/callback",
        "https://[2001:db8::1]:8443/callback",
        "http://127.0.0.1:9999/callback",
        "http://[::1]/callback",
        "com.example.app:/oauth2redirect",
        "com.example.app://callback",
        "com.example.app:/a?b=c",
        "https://bank.example/..well-known",
        LONGEST,
    ],
)
def test_exact_uris_are_fine(uri: str) -> None:
    assert fault(uri) == ""


CHARACTER = "has a character that a URI cannot have"
HOST = "has no valid host and port"
PATH = "has a path that could be read in more than one way"
SCHEME = "must be https, http to a loopback address, or of a private-use scheme such as com.example.app"
PLAIN = "must be https, or http to a loopback address such as 127.0.0.1"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (LONGEST + "a", "is longer than 2048"),
        ("", CHARACTER),
        ("https://bank.example/callback#", "has a fragment"),
        ("https://bank.example/callback#x", "has a fragment"),
        ("https://*.bank.example/callback", "has a wildcard; redirect URIs are compared exactly"),
        ("https://bank.example/*", "has a wildcard; redirect URIs are compared exactly"),
        ("/callback", "is not absolute, or its scheme is not in lower case"),
        ("//bank.example/callback", "is not absolute, or its scheme is not in lower case"),
        ("HTTPS://bank.example/callback", "is not absolute, or its scheme is not in lower case"),
        ("https://user@bank.example/callback", "has user information"),
        ("https://user:secret@bank.example/callback", "has user information"),
        ("https://bank.example@evil.example/", "has user information"),
        ("https://bank.example/a b", CHARACTER),
        ("https://bank.example\\@evil.example/", CHARACTER),
        ("https://bank.example/\r\nLocation:", CHARACTER),
        ("https://bänk.example/callback", CHARACTER),
        ("https://bank.example/%zz", CHARACTER),
        ("https://bank.example/%2", CHARACTER),
        ("https://bank.example/\x00", CHARACTER),
        ("https://bank.example/\ud800", CHARACTER),
        ("https://bank.example/a/../b", PATH),
        ("https://bank.example/./b", PATH),
        ("https://bank.example/..", PATH),
        ("https://bank.example/%2e%2E/b", PATH),
        ("https://bank.example/.%2e/b", PATH),
        ("https://bank.example/a%2fb", PATH),
        ("https://bank.example/a%5Cb", PATH),
        ("https://bank.example/a%0d%0ab", PATH),
        ("com.example.app:/../x", PATH),
        ("https://", HOST),
        ("https:///callback", HOST),
        ("https:/bank.example/callback", HOST),
        ("https:bank.example", HOST),
        ("https://bank..example/", HOST),
        ("https://-bank.example/", HOST),
        ("https://bank.example:0/", HOST),
        ("https://bank.example:65536/", HOST),
        ("https://bank.example:/", HOST),
        ("https://bank.example:x/", HOST),
        ("https://127.1/", HOST),
        ("https://0x7f000001/", HOST),
        ("https://2130706433/", HOST),
        ("https://[::g]/", HOST),
        ("https://[::1/", HOST),
        ("https://?x", HOST),
        ("http://bank.example/callback", PLAIN),
        ("http://localhost/callback", PLAIN),
        ("http://127.0.0.1.evil.example/", PLAIN),
        ("http://10.0.0.1/", PLAIN),
        ("javascript:alert(1)", SCHEME),
        ("data:text/html,x", SCHEME),
        ("urn:ietf:wg:oauth:2.0:oob", SCHEME),
        ("myapp:/callback", SCHEME),
        ("com.example.app:", "says nothing after its scheme"),
        ("com.example.app:/", "says nothing after its scheme"),
        ("com.example.app://", "says nothing after its scheme"),
        ("com.example.app:callback", "says nothing after its scheme"),
    ],
)
def test_what_is_not_exact_is_refused_with_the_reason(uri: str, expected: str) -> None:
    assert fault(uri) == expected


PIECES = st.sampled_from(
    ["https:", "http:", "com.example.app:", "//", "127.0.0.1", "[::1]", "bank.example", "8443", "..", "%2e"]
) | st.sampled_from(list("/:@?#*[]%"))


@given(st.lists(PIECES | st.text(st.characters(), max_size=4), max_size=12).map("".join))
def test_whatever_it_is_it_is_judged(uri: str) -> None:
    if fault(uri):
        return
    parts = urlsplit(uri)
    assert parts.scheme
    assert not parts.fragment
    assert parts.username is None
    assert parts.scheme != "http" or parts.hostname in ("::1", "127.0.0.1")
    assert not {".", ".."} & set(parts.path.split("/"))
