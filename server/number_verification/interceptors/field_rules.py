"""Field rules: whether a message keeps to what the contract says of its fields. The same for every transport."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from number_verification.domain.contract import FieldRule, MessageRules
from number_verification.domain.refusal import Violation
from number_verification.gen.rules import MESSAGE_RULES

Check: TypeAlias = Callable[[Any], Iterator[Violation] | None]
"""Takes a message; returns its violations, or None where nothing was found at once."""

_ValueFault: TypeAlias = Callable[[Any], str]
"""Takes a value; returns what is wrong with it, empty for nothing."""


class FieldRules:
    """The rules of a set of message types, compiled for each type when its first message comes.

    Args:
        rules: by the message's full name. Types that are not there have no rules.
    """

    def __init__(self, rules: Mapping[str, MessageRules]) -> None:
        self._rules = rules
        self._checks: dict[str, tuple[Check, ...]] = {}

    def violations(self, message: Message) -> list[Violation]:
        """Every rule that the message, or a message it holds, breaks."""
        descriptor: Any = message.DESCRIPTOR
        checks = self._checks.get(descriptor.full_name)
        if checks is None:
            checks = self._compiled(descriptor)
        found: list[Violation] = []
        for check in checks:
            broken = check(message)
            if broken is not None:
                found.extend(broken)
        return found

    def _compiled(self, descriptor: Descriptor) -> tuple[Check, ...]:
        rules = self._rules.get(descriptor.full_name, MessageRules())
        fields = descriptor.fields_by_name
        checks = (
            *(_required_oneof(descriptor, oneof.name) for oneof in rules.oneofs),
            *(_field_check(fields[rule.name], rule) for rule in rules.fields),
            *(self._nested_check(fields[name]) for name in rules.nested),
        )
        self._checks[descriptor.full_name] = checks
        return checks

    def _nested_check(self, field: FieldDescriptor) -> Check:
        name, json_name, violations = field.name, field.json_name, self.violations

        def of_one(message: Any) -> Iterator[Violation] | None:
            return _within(json_name, violations(getattr(message, name))) if message.HasField(name) else None

        def of_elements(message: Any) -> Iterator[Violation]:
            elements = getattr(message, name)
            # The keys of a map come from outside: they are not repeated.
            mapped = hasattr(elements, "values")
            for index, element in enumerate(elements.values() if mapped else elements):
                yield from _within(json_name if mapped else f"{json_name}[{index}]", violations(element))

        return of_elements if field.is_repeated else of_one


def _within(path: str, violations: list[Violation]) -> Iterator[Violation]:
    return (Violation(f"{path}.{v.field}" if v.field else path, v.description) for v in violations)


def _required_oneof(descriptor: Descriptor, name: str) -> Check:
    members = [field.json_name for field in descriptor.oneofs_by_name[name].fields]
    broken = Violation("", f"exactly one of {', '.join(members)} is required")

    def check(message: Any) -> Iterator[Violation] | None:
        return iter((broken,)) if message.WhichOneof(name) is None else None

    return check


def _field_check(field: FieldDescriptor, rule: FieldRule) -> Check:
    name, required = field.name, rule.required
    missing = Violation(field.json_name, "is required")
    fault = _repeated_fault(rule) if field.is_repeated else _value_fault(rule)
    # A message has nothing to be empty of; a value with presence may be given and empty.
    empty_is_missing = required and field.message_type is None
    has_presence = field.has_presence

    def check(message: Any) -> Iterator[Violation] | None:
        if has_presence and not message.HasField(name):
            return iter((missing,)) if required else None
        value = getattr(message, name)
        if not value and (empty_is_missing or not has_presence):
            return iter((missing,)) if required else None
        text = fault(value)
        return iter((Violation(missing.field, text),)) if text else None

    return check


def _value_fault(rule: FieldRule) -> _ValueFault:
    limit = rule.max_length
    # In full, and ASCII: `$` alone would let a trailing newline through, and `\d` the digits of every script.
    matches = re.compile(rule.pattern, re.ASCII).fullmatch if rule.pattern else None

    def fault(value: Any) -> str:
        if limit and len(value) > limit:
            return f"is longer than {limit}"
        if matches is not None and matches(value) is None:
            return f"does not match {rule.pattern}"
        return ""

    return fault


def _repeated_fault(rule: FieldRule) -> _ValueFault:
    of_element = _value_fault(rule._replace(max_length=0))

    def fault(values: Any) -> str:
        if rule.max_length and len(values) > rule.max_length:
            return f"has more than {rule.max_length} elements"
        return next(filter(None, map(of_element, values)), "") if rule.pattern else ""

    return fault


validate = FieldRules(MESSAGE_RULES).violations
"""Every rule of the contract that a message breaks."""
