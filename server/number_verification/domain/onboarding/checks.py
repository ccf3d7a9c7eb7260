"""Checks that several kinds of entity share. Violations name a field by its path in JSON, never its value."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from number_verification.domain.onboarding import display_name
from number_verification.domain.purpose import PURPOSES
from number_verification.domain.refusal import Violation


def name_violations(field: str, name: str) -> Iterator[Violation]:
    """A display name that must be there."""
    fault = display_name.fault(name)
    if fault:
        yield Violation(field, fault)


def each(field: str, values: Sequence[Hashable], fault: Callable[[Any], str]) -> Iterator[Violation]:
    """Every element that is wrong, or that was there before."""
    seen: set[Hashable] = set()
    for index, value in enumerate(values):
        text = "is given twice" if value in seen else fault(value)
        if text:
            yield Violation(f"{field}[{index}]", text)
        seen.add(value)


def one_of(known: frozenset[Any], text: str) -> Callable[[Any], str]:
    """What says the text of a value that is not known."""
    return lambda value: "" if value in known else text


purpose_fault = one_of(PURPOSES, "is not a purpose of the W3C Data Privacy Vocabulary 2.0")


def key_violations(
    field: str, jwks: Mapping[str, Any], key_fault: Callable[[Mapping[str, Any]], str]
) -> Iterator[Violation]:
    """Every key of a JWK set that no signature could be checked with.

    Keys that the algorithm alone would not tell apart need identifiers (RFC 7515 §4.1.4).
    """
    keys: Sequence[Mapping[str, Any]] = jwks.get("keys", ())
    seen: set[str] = set()
    for index, key in enumerate(keys):
        path, kid = f"{field}.keys[{index}]", key.get("kid", "")
        fault = key_fault(key)
        if fault:
            yield Violation(path, fault)
        if not kid and len(keys) > 1:
            yield Violation(f"{path}.kid", "is required where there is more than one key")
        if kid and kid in seen:
            yield Violation(f"{path}.kid", "is given twice")
        seen.add(kid)
