"""The golden contracts at work: their messages and routes, made at run time."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from golden.compiled import compiled
from number_verification.domain.contract import AccessRule, MessageRules
from number_verification.rest.tables import Route
from protoc_gen_rest.bindings import exposed_services
from protoc_gen_rest.collisions import sort_key
from protoc_gen_rest.contract import Contract
from protoc_gen_rest.rules import access_rules, message_rules


class Golden(NamedTuple):
    """What the generator makes of a contract, and its types."""

    package: str
    pool: DescriptorPool
    routes: tuple[Route, ...]
    access: Mapping[str, AccessRule]
    rules: Mapping[str, MessageRules]

    def message(self, name: str, /, **fields: Any) -> Any:
        """A message of the contract."""
        return GetMessageClass(self.pool.FindMessageTypeByName(f"{self.package}.{name}"))(**fields)


def _golden(package: str, file: str) -> Golden:
    contract = Contract(compiled(file))
    access = access_rules(contract)
    routes = [binding.route for exposed in exposed_services(contract, access) for binding in exposed.bindings]
    return Golden(package, contract.pool, tuple(sorted(routes, key=sort_key)), access, message_rules(contract))


LIBRARY = _golden("library.v1", "library/v1/library.proto")
"""A public API with all that the generator knows."""

REGISTRY = _golden("registry.v1", "registry/v1/registry.proto")
"""An internal API of resources."""
