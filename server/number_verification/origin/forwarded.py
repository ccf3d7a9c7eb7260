"""The `Forwarded` header (RFC 7239)."""

import re
from typing import Final

from number_verification.domain.origin import NetworkOrigin
from number_verification.origin.address import parse_address

MAX_LENGTH: Final = 4096
"""How long a forwarding header may be, in characters, all of its lines joined."""

MAX_ELEMENTS: Final = 32
"""How many proxies it may name."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 §5.6.2
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'  # RFC 9110 §5.6.4
_PAIR = rf"{_TOKEN}=(?:{_TOKEN}|{_QUOTED})"
_ELEMENT = re.compile(rf"((?:{_PAIR})?(?:;(?:{_PAIR})?)*)[\t ]*(?:(,)[\t ]*|\Z)")
_NAME_AND_VALUE = re.compile(rf"({_TOKEN})=({_TOKEN}|{_QUOTED})")
_ESCAPED = re.compile(r"\\(.)")


def parse_forwarded(header: str) -> tuple[NetworkOrigin | None, ...] | None:
    """What each element of the header names in its `for` parameter, in order.

    Args:
        header: the value; those of a repeated header joined by commas (RFC 9110 §5.3).

    Returns:
        One entry per element, None for an element that names nobody (`unknown`, obfuscated, empty, no `for`).
        None in place of the tuple if the header breaks the grammar of RFC 7239 §4 or is too large.
    """
    if len(header) > MAX_LENGTH:
        return None
    header = header.strip("\t ")
    origins: list[NetworkOrigin | None] = []
    position = 0
    while len(origins) < MAX_ELEMENTS:
        element = _ELEMENT.match(header, position)
        if element is None:
            return None
        parameters: dict[str, str] = {}
        for name, value in _NAME_AND_VALUE.findall(element[1]):
            if name.lower() in parameters:
                return None
            parameters[name.lower()] = value
        origins.append(_node(_unquoted(parameters.get("for", ""))))
        if not element[2]:
            return tuple(origins)
        position = element.end()
    return None


def _node(text: str) -> NetworkOrigin | None:
    """RFC 7239 §6: an IPv6 address stands in brackets, so that a port after it cannot be taken for a part of it."""
    return parse_address(text) if text.startswith("[") or text.count(":") < 2 else None


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value
