"""Display names: what people read, in whatever script, and nothing that deceives them."""

import unicodedata

MAX_LENGTH = 200
"""Characters."""

_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but spelling in Persian and Indic scripts."""
_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Controls, invisible format characters (those that turn the direction of text among them), unassigned and private
characters, half characters, and line ends: two names that look the same could differ, or one could pass for another."""
_VISIBLE = frozenset("LNPS")


def normalized(name: str) -> str:
    """The name in Unicode's normalization form C, in which names that look the same are the same."""
    return unicodedata.normalize("NFC", name)


def fault(name: str) -> str:
    """What is wrong with a normalized name; empty for nothing."""
    if not name:
        return "is required"
    if len(name) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH}"
    if name != name.strip():
        return "begins or ends with a blank"
    categories = [unicodedata.category(character) for character in name if character not in _JOINERS]
    if not _REFUSED_CATEGORIES.isdisjoint(categories):
        return "has a character that cannot be seen or is not assigned"
    if not any(category[0] in _VISIBLE for category in categories):
        return "has nothing that can be seen"
    return ""
