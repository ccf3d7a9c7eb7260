"""Files that commands read: keys and phone numbers. Nothing of their content is ever in a failure."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from number_verification.administration.failure import Failure
from number_verification.authorization import key_files
from number_verification.domain.phone_number import is_phone_number
from number_verification.gen.onboarding.v1.keys_pb2 import JsonWebKey

MAX_SIZE = 16 * 1024 * 1024
"""Bytes of a file. More is none of ours."""

_PRIVATE_MEMBERS = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_PUBLIC_MEMBERS = tuple(each.name for each in JsonWebKey.DESCRIPTOR.fields)


def text(path: Path) -> str:
    """The content of a file.

    Raises:
        Failure: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SIZE + 1)
        if len(content) > MAX_SIZE:
            raise Failure(f"{path} is too large")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise Failure(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Failure(f"{path} is not in UTF-8") from None


def json_object(path: Path, content: str | bytes) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        Failure: it holds something else.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        raise Failure(f"{path} is not JSON") from None
    if not isinstance(value, dict):
        raise Failure(f"{path} does not hold a JSON object")
    return value


def secret(path: Path) -> bytes:
    """The content of a file that only its owner may read.

    Raises:
        Failure: it cannot be read, or others may read it.
    """
    try:
        content = key_files.read(path)
    except key_files.KeyFileUnusable as unusable:
        raise Failure(str(unusable)) from None
    if content is None:
        raise Failure(f"{path} cannot be read: there is no such file")
    return content


def private_jwk(path: Path) -> dict[str, Any]:
    """The private key in a file, as a JWK.

    Raises:
        Failure: the file cannot be used.
    """
    return json_object(path, secret(path))


def public_keys(path: Path) -> dict[str, Any]:
    """The JWK set in a file (RFC 7517 §5); a single key counts as a set of one.

    Raises:
        Failure: the file cannot be used, or holds a private key.
    """
    return key_set(json_object(path, text(path)), str(path))


def key_set(content: Mapping[str, Any], place: str) -> dict[str, Any]:
    """A JWK set, of each key what the contract knows (RFC 7517 §4: members that are not understood are ignored).

    Args:
        content: a set or a single key.
        place: where it stands.

    Raises:
        Failure: it is neither, or holds a private key.
    """
    keys = content.get("keys", [content] if "kty" in content else None)
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise Failure(f"{place} is not a JWK set")
    if any(member in key for key in keys for member in _PRIVATE_MEMBERS):
        raise Failure(f"{place} holds a private key: only public keys belong here")
    return {"keys": [{name: key[name] for name in _PUBLIC_MEMBERS if name in key} for key in keys]}


def phone_number(path: Path | None) -> str:
    """A phone number: from a file, from standard input (`-`), or asked for on the terminal.

    Raises:
        Failure: there is none.
    """
    if path is not None and str(path) != "-":
        number = text(path)
    elif path is not None or not sys.stdin.isatty():
        if path is None:
            raise Failure("no terminal to ask for the phone number: say --phone-number-file FILE, or - for stdin")
        number = sys.stdin.read(64)
    else:
        number = str(typer.prompt("Phone number, with its +", err=True))
    if not is_phone_number(number.strip()):
        raise Failure("that is not a phone number: + and five to fifteen digits, nothing else")
    return number.strip()
