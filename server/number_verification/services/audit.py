"""`audit.v1.AuditService`, for the operator's staff."""

from pathlib import Path

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from number_verification.domain.audit import AuditKind, AuditRecord
from number_verification.domain.clock import Milliseconds
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.gen.audit.v1 import audit_pb2 as pb
from number_verification.registry.audit.files import END
from number_verification.registry.audit.numbers import NumberKeys
from number_verification.registry.audit.reading import Query, decode_place, encode_place, page
from number_verification.registry.audit.seals import SealKey
from number_verification.registry.audit.verify import verify
from number_verification.services.enumerations import Enumeration

DEFAULT_PAGE, MAX_PAGE = 100, 1000

_KINDS = Enumeration(
    {
        pb.AUDIT_KIND_AUTHORIZATION: AuditKind.AUTHORIZATION,
        pb.AUDIT_KIND_TOKEN: AuditKind.TOKEN,
        pb.AUDIT_KIND_CALL: AuditKind.CALL,
    }
)


class AuditServicer:
    """Reads and verifies the audit trail.

    Args:
        directory: where the trail lies.
        numbers: what phone numbers are marked with.
        seal_key: what seals are signed with.
    """

    def __init__(self, directory: Path, numbers: NumberKeys, seal_key: SealKey) -> None:
        self._directory = directory
        self._numbers = numbers
        self._seal_key = seal_key

    def ListAuditRecords(  # noqa: N802
        self, request: pb.ListAuditRecordsRequest, _: grpc.ServicerContext
    ) -> pb.ListAuditRecordsResponse:
        """List records, page by page."""
        if request.page_size > MAX_PAGE:
            raise _invalid("pageSize", f"must be at most {MAX_PAGE}")
        after = decode_place(request.page_token) if request.page_token else None
        if request.page_token and after is None:
            raise _invalid("pageToken", "is not one that was returned")
        records, following = page(self._directory, self._query(request), request.page_size or DEFAULT_PAGE, after)
        return pb.ListAuditRecordsResponse(
            records=map(_message, records), next_page_token=encode_place(following) if following else ""
        )

    def VerifyAudit(self, _request: pb.VerifyAuditRequest, _: grpc.ServicerContext) -> pb.VerifyAuditResponse:  # noqa: N802
        """Verify the trail."""
        found = verify(self._directory, self._seal_key)
        return pb.VerifyAuditResponse(
            findings=[
                pb.AuditFinding(kind=each.kind, place=each.place, line=each.line, is_tampering=each.is_tampering)
                for each in found.findings
            ],
            tampering_count=found.tampering,
            segment_count=found.segments,
            record_count=found.records,
            sealed_record_count=found.sealed_records,
            seal_count=found.seals,
            latest_seal=found.head.number,
            latest_seal_digest=found.head.digest,
        )

    def _query(self, request: pb.ListAuditRecordsRequest) -> Query:
        return Query(
            start=_instant(request.start_time, "startTime") if request.HasField("start_time") else None,
            end=_instant(request.end_time, "endTime") if request.HasField("end_time") else None,
            kind=_KINDS.read(request.kind, "kind"),
            application=request.application,
            customer=request.customer,
            channel_partner=request.channel_partner,
            outcome=request.outcome,
            digests=self._numbers.digests(request.phone_number) if request.phone_number else None,
        )


def _message(record: AuditRecord) -> pb.AuditRecord:
    message = pb.AuditRecord(
        kind=_KINDS.number(record.kind),
        correlator=record.correlator,
        operation=record.operation,
        transport=record.transport,
        outcome=record.outcome,
        reason=record.reason,
        client_id=record.client_id,
        application=record.application,
        customer=record.customer,
        channel_partner=record.channel_partner,
        principal=record.principal,
        resource=record.resource,
        method=record.method,
        purpose=record.purpose,
        masked_phone_number=record.number.masked,
        phone_number_hash=record.number.digest,
        phone_number_key=record.number.key,
    )
    message.time.FromMilliseconds(record.time)
    return message


def _instant(timestamp: Timestamp, field: str) -> Milliseconds:
    milliseconds = timestamp.seconds * 1000 + timestamp.nanos // 1_000_000
    # Whoever looks for the year 10000 or for 1969 looks for nothing, or has mistaken the unit.
    if not 0 <= milliseconds < END:
        raise _invalid(field, "must be between 1970 and 9999")
    return milliseconds


def _invalid(field: str, description: str) -> Refusal:
    return Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[Violation(field, description)])
