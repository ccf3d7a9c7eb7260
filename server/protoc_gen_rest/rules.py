"""Access rules, field rules and oneof rules: from the options of the contract to checked values."""

import re
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from number_verification.domain.contract import (
    AccessRule,
    Caller,
    FieldRule,
    MessageRules,
    OneofRule,
    OriginNeed,
)
from protoc_gen_rest.contract import Contract, is_map, rpc_name

_CALLERS = {1: Caller.API_CONSUMER, 2: Caller.INTERNAL_SERVICE}
_ORIGIN_NEEDS = {0: OriginNeed.NONE, 1: OriginNeed.MOBILE_NETWORK}

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SHARED_ESCAPE = re.compile(r"[dDwWtnr]|[^A-Za-z0-9]")
_CHARACTER_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")
_UNSHARED = re.compile(r"\(\?(?!:)|[*+?}]\+")
"""Look-around, named groups, flags; possessive quantifiers."""


def access_rules(contract: Contract) -> dict[str, AccessRule]:
    """The access rule of every method, by the method's name on the wire.

    Raises:
        ContractError: a method without a rule, or a rule that contradicts itself.
    """
    methods = (method for service in contract.services for method in service.methods)
    return {rpc_name(method): _access_rule(contract, method) for method in methods}


def _access_rule(contract: Contract, method: MethodDescriptor) -> AccessRule:
    option = contract.option(method, "access")
    if option is None:
        raise contract.error(method, "the method has no access rule")
    caller, origin = _CALLERS.get(option.caller), _ORIGIN_NEEDS.get(option.origin)
    if caller is None or origin is None:
        raise contract.error(method, "the access rule does not say who the caller is, or where from", "access")
    rule = AccessRule(caller, frozenset(option.scopes), origin, frozenset(option.roles))
    if caller is Caller.API_CONSUMER and (rule.roles or not rule.scopes):
        raise contract.error(method, "an API consumer needs scopes, and has no roles", "access")
    if caller is Caller.INTERNAL_SERVICE and (rule.scopes or origin is not OriginNeed.NONE or not rule.roles):
        raise contract.error(method, "an internal service needs roles, and has no scopes and no end user", "access")
    return rule


def request_types(contract: Contract) -> frozenset[str]:
    """The full names of all messages that a request can be or hold."""
    return frozenset(
        name for service in contract.services for method in service.methods for name in reachable(method.input_type)
    )


def message_rules(contract: Contract) -> dict[str, MessageRules]:
    """The rules of every message of requests that has rules or holds messages that have, by the message's full name.

    Rules of messages that occur in responses only are for documents.

    Raises:
        ContractError: a rule that does not fit its field.
    """
    requests = request_types(contract)
    for message in contract.messages:
        for field in message.fields:
            _check_field_rule(contract, field, in_request=message.full_name in requests)
    messages = [message for message in contract.messages if message.full_name in requests]
    own = {
        message.full_name: MessageRules(
            fields=tuple(filter(None, (_field_rule(contract, field) for field in message.fields))),
            oneofs=tuple(filter(None, (_oneof_rule(contract, oneof) for oneof in message.oneofs))),
        )
        for message in messages
    }
    ruled = {name for name, rules in own.items() if rules.fields or rules.oneofs}
    nested: dict[str, tuple[str, ...]] = {}
    while True:  # until no message more is found that holds one with rules
        nested = {
            message.full_name: tuple(field.name for field in message.fields if _held(field) in ruled)
            for message in messages
        }
        holders = {name for name, fields in nested.items() if fields}
        if holders <= ruled:
            break
        ruled |= holders
    return {name: own[name]._replace(nested=nested[name]) for name in own if name in ruled}


def _held(field: FieldDescriptor) -> str | None:
    """The message type that a field holds, as its value, element or map value."""
    message = field.message_type
    if message is not None and is_map(field):
        message = message.fields_by_name["value"].message_type
    return message.full_name if message is not None else None


def has_rivals(field: FieldDescriptor) -> bool:
    """Whether a field shares a oneof with others. An optional field is alone in a oneof of its own."""
    return field.containing_oneof is not None and len(field.containing_oneof.fields) > 1


def _field_rule(contract: Contract, field: FieldDescriptor) -> FieldRule | None:
    option = contract.option(field, "field")
    if option is None:
        return None
    rule = FieldRule(field.name, option.required, option.pattern, option.max_length)
    return rule if rule != FieldRule(field.name) else None


def _check_field_rule(contract: Contract, field: FieldDescriptor, *, in_request: bool) -> None:
    option = contract.option(field, "field")
    if option is None:
        return
    fault = _required_fault(field, in_request=in_request) if option.required else ""
    fault = fault or _text_fault(option, field)
    if fault:
        raise contract.error(field, fault, "field")


def _required_fault(field: FieldDescriptor, *, in_request: bool) -> str:
    if has_rivals(field):
        return "a member of a oneof cannot be required by itself"
    can_be_empty = field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
    if in_request and not (field.has_presence or field.is_repeated or can_be_empty):
        # Without presence required means other than the default: a required bool could only be true.
        return "a required number, bool or enum of a request needs presence: make it optional"
    return ""


def _text_fault(option: Any, field: FieldDescriptor) -> str:
    is_string = field.type == FieldDescriptor.TYPE_STRING
    if option.pattern and not is_string:
        return "only strings can have a pattern"
    fault = pattern_fault(option.pattern) if option.pattern else ""
    if fault:
        return f"the pattern {fault}"
    if option.max_length and not (is_string or field.type == FieldDescriptor.TYPE_BYTES or field.is_repeated):
        return "only strings, bytes and repeated fields can have a max_length"
    if not option.example or not is_string:
        return ""
    if option.pattern and not re.fullmatch(option.pattern, option.example, re.ASCII):
        return "the example does not match the pattern"
    if option.max_length and not field.is_repeated and len(option.example) > option.max_length:
        return "the example is longer than max_length"
    return ""


def pattern_fault(pattern: str) -> str:
    """What keeps a pattern from meaning the same in ECMA 262 (OpenAPI) and in Python; empty for nothing."""
    try:
        re.compile(pattern)
    except re.error as error:
        return f"is not a regular expression: {error}"
    if not (pattern.startswith("^") and pattern.endswith("$")) or pattern.endswith(r"\$"):
        return "must begin with ^ and end with $: OpenAPI matches parts of a value"
    for escape in _ESCAPE.finditer(pattern):
        if not _SHARED_ESCAPE.fullmatch(escape[1]):
            return f"uses the escape {escape[0]}, which not every engine reads alike"
    bare = _CHARACTER_CLASS.sub("", _ESCAPE.sub("", pattern))
    if _UNSHARED.search(bare):
        return "uses look-around, named groups, flags or possessive quantifiers, which not every engine knows"
    return ""


def _oneof_rule(contract: Contract, oneof: Any) -> OneofRule | None:
    option = contract.option(oneof, "oneof")
    return OneofRule(oneof.name) if option is not None and option.required else None


def reachable(message: Descriptor) -> dict[str, Descriptor]:
    """A message and every message that it can hold, by full name, in the order in which they are met."""
    found: dict[str, Descriptor] = {}
    waiting = [message]
    while waiting:
        current = waiting.pop()
        if current.full_name in found:
            continue
        found[current.full_name] = current
        waiting.extend(field.message_type for field in reversed(current.fields) if field.message_type is not None)
    return found
