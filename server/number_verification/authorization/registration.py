"""Whether a client can be known by a key, or by the keys at an address: what registration asks, and why not."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from number_verification.authorization.client_assertion import ALGORITHMS
from number_verification.authorization.http_fetch import check_uri
from number_verification.authorization.jose import UnusableKey, verification_key


def key_fault(jwk: Mapping[str, Any]) -> str:
    """What is wrong with a JSON Web Key; empty for nothing. Says nothing of the key."""
    try:
        key = verification_key(jwk)
    except UnusableKey as unusable:
        return f"cannot be used: {unusable}"
    return "" if key.algorithms & ALGORITHMS else f"cannot be used: no key for {', '.join(sorted(ALGORITHMS))}"


def uri_fault(uri: str) -> str:
    """What is wrong with the address of a JWK set; empty for nothing. Says nothing of the address.

    Plain HTTP to this machine, which issuers in the configuration may use, is nothing that a customer may ask for.
    """
    try:
        check_uri(uri)
        secure = urlsplit(uri).scheme == "https"
    except ValueError:
        secure = False
    return "" if secure else "must be an https address that documents are fetched from"
