"""The lines of a segment: JSON objects, each with its number and a chain value that depends on all lines before it.

A line is its content, then `,"chain":"…"}`. The chain value is the SHA-256 of the chain value before and the content;
what stands before the first line is 32 zero bytes. The first line, number 0, is a header that names the segment.
"""

import json
from hashlib import sha256
from typing import Any, NamedTuple

from number_verification.domain.audit import AuditKind, AuditRecord, NumberMark
from number_verification.domain.clock import Milliseconds

VERSION = 1
ORIGIN = bytes(32)
"""The chain value before the first line."""

MAX_CONTENT = 4096
"""Characters of a record's content. Texts of outside are cut where they would make it longer."""
_MAX_TEXT = 160

_CHAIN, _END = b',"chain":"', b'"}\n'
_TAIL = len(_CHAIN) + 64 + len(_END)

_TEXTS = AuditRecord._fields[2:-1]

_quoted = json.encoder.encode_basestring
_decode = json.JSONDecoder().decode


class Line(NamedTuple):
    """One line, split but not checked."""

    content: bytes
    chain: bytes
    """The 64 hexadecimal digits that it claims."""


def header(segment: str, boot_id: str) -> str:
    """The content of the first line of a segment."""
    return f'{{"seq":0,"version":{VERSION},"segment":{_quoted(segment)},"boot":{_quoted(boot_id)}'


def body(record: AuditRecord, mark: NumberMark) -> str:
    """The content of a record's line after its number and its time, which are only known when it is its turn."""
    text = _body(record, mark)
    return text if len(text) <= MAX_CONTENT else _body(_shortened(record), mark)


def _body(record: AuditRecord, mark: NumberMark) -> str:
    (
        _,
        kind,
        correlator,
        operation,
        transport,
        outcome,
        reason,
        client_id,
        application,
        customer,
        channel_partner,
        principal,
        resource,
        method,
        purpose,
        _,
    ) = record
    masked, key, digest = mark
    return (
        f',"kind":"{kind}","correlator":{_quoted(correlator)},"operation":{_quoted(operation)},'
        f'"transport":"{transport}","outcome":"{outcome}","reason":"{reason}","client_id":{_quoted(client_id)},'
        f'"application":{_quoted(application)},"customer":{_quoted(customer)},'
        f'"channel_partner":{_quoted(channel_partner)},"principal":{_quoted(principal)},"resource":{_quoted(resource)},"method":"{method}",'
        f'"purpose":{_quoted(purpose)},"number":{_quoted(masked)},"number_key":"{key}","number_hash":"{digest}"'
    )


def _shortened(record: AuditRecord) -> AuditRecord:
    cut: dict[str, Any] = {name: value[:_MAX_TEXT] for name, value in record._asdict().items() if type(value) is str}
    return record._replace(**cut)


def content(sequence: int, time: Milliseconds, text: str) -> bytes:
    """The whole content of a record's line."""
    return f'{{"seq":{sequence},"time":{time}{text}'.encode("utf-8", "replace")


def chained(previous: bytes, line_content: bytes) -> bytes:
    """The chain value of a line."""
    return sha256(previous + line_content).digest()


def line(line_content: bytes, chain: bytes) -> bytes:
    """The line as it stands in the file."""
    return line_content + _CHAIN + chain.hex().encode() + _END


def split(raw: bytes) -> Line | None:
    """A line of a file, with its newline; None if it has not the form of one."""
    if len(raw) <= _TAIL or not raw.endswith(_END) or not raw.startswith(_CHAIN, len(raw) - _TAIL):
        return None
    return Line(raw[:-_TAIL], raw[-len(_END) - 64 : -len(_END)])


def parsed(line_content: bytes) -> dict[str, Any] | None:
    """The members of a line's content; None if it is not JSON or lacks a number."""
    try:
        members = _decode((line_content + b"}").decode())
    except (ValueError, RecursionError):
        return None
    return members if isinstance(members, dict) and type(members.get("seq")) is int else None


def record_of(members: dict[str, Any]) -> AuditRecord | None:
    """The record that the members of a line are of; None if they are of none."""
    try:
        time, texts = int(members["time"]), {name: str(members[name]) for name in _TEXTS}
        mark = NumberMark(str(members["number"]), str(members["number_key"]), str(members["number_hash"]))
        return AuditRecord(time, AuditKind(members["kind"]), **texts, number=mark)
    except (KeyError, ValueError, TypeError):
        return None
