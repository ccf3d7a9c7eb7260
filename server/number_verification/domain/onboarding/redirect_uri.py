"""Redirect URIs (RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1), so exact that comparing them is comparing text."""

import ipaddress
import re
from urllib.parse import unquote

MAX_LENGTH = 2048
"""Characters."""

_CHARACTERS = re.compile(r"(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+")
"""RFC 3986 §2. A blank, a backslash or a quote is none of them."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+")
"""RFC 8252 §7.1: the name of a domain, backwards. `javascript` and `data` have no dot."""
_TRICKS = re.compile(r"%(?:2f|5c|[01][0-9a-f]|7f)", re.IGNORECASE)
"""A slash or a control character in disguise."""


def fault(uri: str) -> str:
    """What is wrong with a redirect URI; empty for nothing."""
    if len(uri) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH}"
    if "*" in uri:
        return "has a wildcard; redirect URIs are compared exactly"
    if "#" in uri:
        return "has a fragment"
    if not uri.isascii() or _CHARACTERS.fullmatch(uri) is None:
        return "has a character that a URI cannot have"
    scheme = _SCHEME.match(uri)
    if scheme is None:
        return "is not absolute, or its scheme is not in lower case"
    hierarchical, _, _ = uri[scheme.end() :].partition("?")
    authority, path = "", hierarchical
    if hierarchical.startswith("//"):
        authority, slash, rest = hierarchical[2:].partition("/")
        path = slash + rest
    if "@" in authority:
        return "has user information"
    if any(unquote(segment) in (".", "..") for segment in path.split("/")) or _TRICKS.search(path):
        return "has a path that could be read in more than one way"
    return _scheme_fault(scheme[1], authority, hierarchical)


def _scheme_fault(scheme: str, authority: str, hierarchical: str) -> str:
    if scheme in ("https", "http"):
        host = _host(authority)
        if not host:
            return "has no valid host and port"
        if scheme == "http" and not _is_loopback(host):
            # RFC 8252 §8.3: not by the name "localhost", which need not be this machine.
            return "must be https, or http to a loopback address such as 127.0.0.1"
        return ""
    if _PRIVATE_USE.fullmatch(scheme) is None:
        return "must be https, http to a loopback address, or of a private-use scheme such as com.example.app"
    if not hierarchical.startswith("/") or hierarchical.strip("/") == "":
        return "says nothing after its scheme"
    return ""


def _host(authority: str) -> str:
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not 0 < int(match[2] or 1) <= 65535:
        return ""
    host = match[1]
    if host.startswith("["):
        try:
            return str(ipaddress.IPv6Address(host[1:-1]))
        except ValueError:
            return ""
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return ""
    if labels[-1].isdigit() or labels[-1].lower().startswith("0x"):
        # What ends in a number is read as an IPv4 address (WHATWG URL §3.5), in more forms than one.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            return ""
    return host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
