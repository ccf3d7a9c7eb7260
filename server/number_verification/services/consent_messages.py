"""Approvals between the contract's messages and the domain."""

from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from number_verification.domain.approval import Approval, Consent, OptOut
from number_verification.domain.approval_records import Action, Entry
from number_verification.domain.approving import MAX_INSTANT, Said
from number_verification.domain.clock import SECOND, Milliseconds
from number_verification.gen.consent.v1 import consent_pb2 as pb

_ACTIONS = {
    Action.GIVEN: pb.APPROVAL_ACTION_GIVEN,
    Action.WITHDRAWN: pb.APPROVAL_ACTION_WITHDRAWN,
    Action.OPTED_OUT: pb.APPROVAL_ACTION_OPTED_OUT,
    Action.OPTED_IN: pb.APPROVAL_ACTION_OPTED_IN,
}


def said(
    request: pb.GiveConsentRequest | pb.WithdrawConsentRequest | pb.OptOutRequest | pb.OptInRequest, caller: str
) -> Said:
    """What a request says that a subscriber said."""
    what = Said(
        request.phone_number, request.application, request.purpose, caller, request.evidence, request.request_id
    )
    if isinstance(request, pb.GiveConsentRequest):
        what = what._replace(scopes=frozenset(request.scopes))
        if request.HasField("expire_time"):
            # A time that is given is never taken for none, not even 0; of one beyond all calendars no error is made.
            time = request.expire_time
            instant = time.seconds * SECOND + time.nanos // 1_000_000
            what = what._replace(expires=max(1, min(instant, MAX_INSTANT + 1)))
    return what


def consent(entry: Entry) -> pb.Consent:
    """The consent that an entry left, as the contract shows it."""
    statement, standing = entry.statement, entry.standing
    return _consent(Consent(statement.application, statement.purpose, *standing))


def opt_out(entry: Entry) -> pb.OptOut:
    """The opt-out that an entry left, as the contract shows it."""
    statement = entry.statement
    return _opt_out(OptOut(statement.application, statement.purpose, entry.standing.given))


def consent_and_opt_outs(approvals: Sequence[Approval]) -> tuple[pb.Consent | None, list[pb.OptOut]]:
    """The one consent, if any, and the opt-outs from narrow to wide."""
    given = next((_consent(each) for each in approvals if isinstance(each, Consent)), None)
    opt_outs = [each for each in approvals if isinstance(each, OptOut)]
    return given, [_opt_out(each) for each in sorted(opt_outs, reverse=True)]


def approval(entry: Entry) -> pb.Approval:
    """An entry as the contract shows it."""
    statement, standing = entry.statement, entry.standing
    return pb.Approval(
        action=_ACTIONS[statement.action],
        application=statement.application,
        purpose=statement.purpose,
        scopes=sorted(standing.scopes),
        record_time=_timestamp(entry.recorded),
        expire_time=_timestamp(standing.expires),
        evidence=statement.evidence,
        recorded_by=statement.recorded_by,
        current=entry.current,
    )


def _consent(given: Consent) -> pb.Consent:
    return pb.Consent(
        application=given.application,
        purpose=given.purpose,
        scopes=sorted(given.scopes),
        give_time=_timestamp(given.given),
        expire_time=_timestamp(given.expires),
        withdraw_time=_timestamp(given.withdrawn),
    )


def _opt_out(objection: OptOut) -> pb.OptOut:
    return pb.OptOut(
        application=objection.application, purpose=objection.purpose, opt_out_time=_timestamp(objection.since)
    )


def _timestamp(instant: Milliseconds) -> Timestamp | None:
    if not instant:
        return None
    message = Timestamp()
    message.FromMilliseconds(instant)
    return message
