from pathlib import Path

import pytest

from golden.compiled import compiled, compiled_text
from number_verification.domain.contract import FieldRule, MessageRules
from protoc_gen_rest.contract import Contract
from protoc_gen_rest.rules import message_rules, pattern_fault, reachable


@pytest.mark.parametrize(
    "pattern",
    [r"^\+[1-9][0-9]{4,14}$", "^[a-fA-F0-9]{64}$", "^(?:a|b)+$", r"^[+*]+\.\d$", r"^[^\]+*]+$", "^a?b*c+$"],
)
def test_shared_patterns(pattern: str) -> None:
    assert pattern_fault(pattern) == ""


@pytest.mark.parametrize(
    "pattern",
    [
        "^(",
        "a",
        "^a",
        "a$",
        r"^a\$",
        r"^\s$",
        r"^\bx$",
        r"^\Ax$",
        r"^(a)\1$",
        "^(?=a)$",
        "^(?!a)$",
        "^(?<=a)$",
        "^(?P<n>a)$",
        "^(?i:a)$",
        "^a++$",
        "^a{2}+$",
    ],
)
def test_other_patterns(pattern: str) -> None:
    assert pattern_fault(pattern)


def test_rules_reach_through_messages_without_rules(tmp_path: Path) -> None:
    text = """syntax = "proto3"; package test.v1; import "contract/v1/options.proto";
        service S { rpc Do(A) returns (R) {
          option (contract.v1.access) = {caller: CALLER_INTERNAL_SERVICE roles: "r"}; } }
        message A { B b = 1; map<string, C> cs = 2; Free free = 3; }
        message B { repeated C cs = 1; }
        message C { string text = 1 [(contract.v1.field) = {max_length: 3}]; A back = 2; }
        message Free { string text = 1; }
        message R { string text = 1 [(contract.v1.field) = {required: true}]; }"""
    assert message_rules(Contract(compiled_text(tmp_path, text))) == {
        "test.v1.A": MessageRules(nested=("b", "cs")),
        "test.v1.B": MessageRules(nested=("cs",)),
        "test.v1.C": MessageRules(fields=(FieldRule("text", max_length=3),), nested=("back",)),
    }


def test_reachable_ends_where_messages_hold_themselves() -> None:
    contract = Contract(compiled("library/v1/library.proto"))
    (book,) = (message for message in contract.messages if message.name == "Book")
    assert list(reachable(book)) == ["library.v1.Book"]
