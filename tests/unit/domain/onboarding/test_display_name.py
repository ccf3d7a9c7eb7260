import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from number_verification.domain.onboarding.display_name import MAX_LENGTH, fault, normalized


@pytest.mark.parametrize(
    "name",
    [
        "A",
        "First Bank",
        "Ünïcödé & Söhne GmbH",
        "株式会社",
        "بنك",
        "می\u200cخواهم",  # a zero-width non-joiner, as Persian spells
        "क्\u200dष",
        "B" * MAX_LENGTH,
        "🏦",
    ],
)
def test_names_of_all_scripts_are_fine(name: str) -> None:
    assert fault(normalized(name)) == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "is required"),
        ("B" * (MAX_LENGTH + 1), "is longer than 200"),
        (" Bank", "begins or ends with a blank"),
        ("Bank\u00a0", "begins or ends with a blank"),
        ("Bank\n", "begins or ends with a blank"),
        *(
            (f"First{character}Bank", "has a character that cannot be seen or is not assigned")
            for character in (
                "\x00",
                "\n",
                "\x1b",
                "\x7f",
                "\x85",
                "\u2028",
                "\u202e",
                "\u2066",
                "\u200f",
                "\u200b",
                "\ufeff",
                "\u00ad",
                "\ud800",
                "\udfff",
                "\ue000",
                "\uffff",
                "\U000e0041",
            )
        ),
        ("\u200d", "has nothing that can be seen"),
        ("\u0301", "has nothing that can be seen"),
    ],
)
def test_what_deceives_is_refused(name: str, expected: str) -> None:
    assert fault(name) == expected


def test_what_looks_the_same_is_the_same() -> None:
    assert normalized("Cafe\u0301") == normalized("Café") == "Café"


@given(st.text(st.characters(), max_size=220))
def test_whatever_it_is_it_is_judged(name: str) -> None:
    verdict = fault(normalized(name))
    if not verdict:
        assert 1 <= len(normalized(name)) <= MAX_LENGTH
        assert not {"Cc", "Cs", "Zl", "Zp"} & {unicodedata.category(character) for character in normalized(name)}
