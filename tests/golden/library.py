"""The golden contract at work: its messages and routes, made at run time."""

from typing import Any

from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from golden.compiled import compiled
from number_verification.domain.contract import MessageRules
from number_verification.rest.tables import Route
from protoc_gen_rest.bindings import exposed_services
from protoc_gen_rest.collisions import sort_key
from protoc_gen_rest.contract import Contract
from protoc_gen_rest.rules import access_rules, message_rules

_CONTRACT = Contract(compiled("library/v1/library.proto"))

POOL: DescriptorPool = _CONTRACT.pool
ROUTES: list[Route] = sorted(
    (b.route for exposed in exposed_services(_CONTRACT, access_rules(_CONTRACT)) for b in exposed.bindings),
    key=sort_key,
)
RULES: dict[str, MessageRules] = message_rules(_CONTRACT)


def message(name: str, **fields: Any) -> Any:
    """A message of the golden contract."""
    return GetMessageClass(POOL.FindMessageTypeByName(f"library.v1.{name}"))(**fields)
