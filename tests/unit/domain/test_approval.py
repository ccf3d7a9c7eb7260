"""The rule that decides whether a subscriber agrees: every legal basis in every state of their approvals."""

from itertools import product

import pytest

from number_verification.domain.application import LegalBasis
from number_verification.domain.approval import ALL, Approval, Consent, OptOut, api_scopes, objection_of
from number_verification.domain.refusal import Reason

APPLICATION = "organizations/first-bank/applications/banking-app"
OTHER_APPLICATION = "organizations/first-bank/applications/other-app"
PURPOSE = "dpv:FraudPreventionAndDetection"
OTHER_PURPOSE = "dpv:Advertising"
VERIFY, READ = "number-verification:verify", "number-verification:device-phone-number:read"
SCOPES = frozenset({"openid", PURPOSE, VERIFY})
NOW = 1_700_000_000_000

STANDING = Consent(APPLICATION, PURPOSE, frozenset({VERIFY}), given=NOW - 10)

CONSENTS: dict[str, tuple[Consent | None, Reason | None]] = {
    "none": (None, Reason.CONSENT_MISSING),
    "standing": (STANDING, None),
    "for more scopes": (STANDING._replace(scopes=frozenset({VERIFY, READ})), None),
    "for other scopes": (STANDING._replace(scopes=frozenset({READ})), Reason.CONSENT_MISSING),
    "for no scopes": (STANDING._replace(scopes=frozenset()), Reason.CONSENT_MISSING),
    "for another purpose": (STANDING._replace(purpose=OTHER_PURPOSE), Reason.CONSENT_MISSING),
    "to another application": (STANDING._replace(application=OTHER_APPLICATION), Reason.CONSENT_MISSING),
    "withdrawn": (STANDING._replace(withdrawn=NOW - 1), Reason.CONSENT_WITHDRAWN),
    "withdrawn by a clock ahead": (STANDING._replace(withdrawn=NOW + 1), Reason.CONSENT_WITHDRAWN),
    "expired": (STANDING._replace(expires=NOW - 1), Reason.CONSENT_EXPIRED),
    "expiring at this instant": (STANDING._replace(expires=NOW), Reason.CONSENT_EXPIRED),
    "expiring at the next": (STANDING._replace(expires=NOW + 1), None),
    "withdrawn, then expired": (STANDING._replace(withdrawn=NOW - 2, expires=NOW - 1), Reason.CONSENT_WITHDRAWN),
}

OPT_OUTS: dict[str, tuple[OptOut | None, bool]] = {
    "none": (None, False),
    "of this": (OptOut(APPLICATION, PURPOSE, NOW - 5), True),
    "of the application": (OptOut(APPLICATION, ALL, NOW - 5), True),
    "of the purpose": (OptOut(ALL, PURPOSE, NOW - 5), True),
    "of everything": (OptOut(ALL, ALL, NOW - 5), True),
    "of another purpose": (OptOut(APPLICATION, OTHER_PURPOSE, NOW - 5), False),
    "of another application": (OptOut(OTHER_APPLICATION, PURPOSE, NOW - 5), False),
    "of another application altogether": (OptOut(OTHER_APPLICATION, ALL, NOW - 5), False),
    "of another purpose altogether": (OptOut(ALL, OTHER_PURPOSE, NOW - 5), False),
}

CONSENT_COUNTS = {LegalBasis.CONSENT}
OPT_OUT_COUNTS = {LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTEREST, LegalBasis.PUBLIC_INTEREST}


@pytest.mark.parametrize("basis", LegalBasis)
@pytest.mark.parametrize(("consent", "opt_out"), [*product(CONSENTS, OPT_OUTS)])
def test_matrix(basis: LegalBasis, consent: str, opt_out: str) -> None:
    given, fault = CONSENTS[consent]
    objection, concerns = OPT_OUTS[opt_out]
    expected = None
    if concerns and basis in OPT_OUT_COUNTS:
        expected = Reason.OPTED_OUT
    elif basis in CONSENT_COUNTS:
        expected = fault
    approvals: list[Approval] = [each for each in (given, objection) if each is not None]

    for order in (approvals, approvals[::-1]):
        assert objection_of(order, APPLICATION, basis, PURPOSE, SCOPES, NOW) is expected


def test_consent_must_cover_every_api_scope() -> None:
    both = SCOPES | {READ}
    assert objection_of([STANDING], APPLICATION, LegalBasis.CONSENT, PURPOSE, both, NOW) is Reason.CONSENT_MISSING
    wide = STANDING._replace(scopes=frozenset({VERIFY, READ}))
    assert objection_of([wide], APPLICATION, LegalBasis.CONSENT, PURPOSE, both, NOW) is None


def test_one_opt_out_among_several_is_enough() -> None:
    approvals = [OptOut(APPLICATION, OTHER_PURPOSE, 1), OptOut(ALL, PURPOSE, 1), STANDING]
    assert objection_of(approvals, APPLICATION, LegalBasis.CONSENT, PURPOSE, SCOPES, NOW) is Reason.OPTED_OUT


def test_scopes_of_an_api() -> None:
    assert api_scopes({"openid", PURPOSE, VERIFY, READ}) == {VERIFY, READ}
