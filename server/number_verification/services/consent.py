"""`consent.v1.ConsentService`, for services of the operator."""

import grpc

from number_verification.domain.approving import Approving
from number_verification.domain.refusal import Kind, Reason, Refusal, Violation
from number_verification.gen.consent.v1 import consent_pb2 as pb
from number_verification.interceptors.call import current
from number_verification.services.consent_messages import approval, consent, consent_and_opt_outs, opt_out, said

DEFAULT_PAGE, MAX_PAGE = 100, 1000


class ConsentServicer:
    """Records what subscribers agree and object to, and tells what follows."""

    def __init__(self, approving: Approving) -> None:
        self._approving = approving

    def GiveConsent(self, request: pb.GiveConsentRequest, _: grpc.ServicerContext) -> pb.GiveConsentResponse:  # noqa: N802
        """Record consent."""
        entry = self._approving.give(said(request, current.get().caller))
        return pb.GiveConsentResponse(consent=consent(entry))

    def WithdrawConsent(  # noqa: N802
        self, request: pb.WithdrawConsentRequest, _: grpc.ServicerContext
    ) -> pb.WithdrawConsentResponse:
        """Record that consent was withdrawn."""
        entry = self._approving.withdraw(said(request, current.get().caller))
        return pb.WithdrawConsentResponse(consent=consent(entry))

    def LookUpConsent(self, request: pb.LookUpConsentRequest, _: grpc.ServicerContext) -> pb.LookUpConsentResponse:  # noqa: N802
        """Tell what would be decided now."""
        found = self._approving.look_up(
            request.phone_number, request.application, request.purpose, frozenset(request.scopes)
        )
        given, opt_outs = consent_and_opt_outs(found.on_record)
        return pb.LookUpConsentResponse(
            allowed=found.objection is None, refusal_reason=found.objection or "", consent=given, opt_outs=opt_outs
        )

    def OptOut(self, request: pb.OptOutRequest, _: grpc.ServicerContext) -> pb.OptOutResponse:  # noqa: N802
        """Record an objection."""
        return pb.OptOutResponse(opt_out=opt_out(self._approving.opt_out(said(request, current.get().caller))))

    def OptIn(self, request: pb.OptInRequest, _: grpc.ServicerContext) -> pb.OptInResponse:  # noqa: N802
        """Record that an objection was lifted."""
        self._approving.opt_in(said(request, current.get().caller))
        return pb.OptInResponse()

    def ListApprovals(self, request: pb.ListApprovalsRequest, _: grpc.ServicerContext) -> pb.ListApprovalsResponse:  # noqa: N802
        """List all that is on record for a subscriber, page by page."""
        if request.page_size > MAX_PAGE:
            violation = Violation("pageSize", f"must be at most {MAX_PAGE}")
            raise Refusal(Kind.INVALID_ARGUMENT, Reason.INPUT_MALFORMED, violations=[violation])
        size = request.page_size or DEFAULT_PAGE
        after = int(request.page_token or "0")
        entries = self._approving.entries(request.phone_number, after, size + 1, current=request.current_only)
        page = entries[:size]
        more = str(page[-1].change) if len(entries) > size else ""
        return pb.ListApprovalsResponse(approvals=map(approval, page), next_page_token=more)
