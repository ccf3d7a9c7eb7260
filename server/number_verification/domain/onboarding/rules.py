"""What the use cases are given from outside."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from number_verification.domain.contract import AccessRule


@dataclass(frozen=True, slots=True)
class Rules:
    """What the use cases hold their input to, and what they name things by."""

    operations: Mapping[str, AccessRule]
    """The access rules of the contract, by full method name."""
    key_fault: Callable[[Mapping[str, Any]], str]
    """What is wrong with a JSON Web Key that a client is to be known by; empty for nothing."""
    uri_fault: Callable[[str], str]
    """What is wrong with an address that keys are to be fetched from; empty for nothing."""
    new_id: Callable[[], str]
    """The last part of a name, where the caller does not choose one."""
    new_client_id: Callable[[], str]
    """An identifier that nobody can guess or had before."""
