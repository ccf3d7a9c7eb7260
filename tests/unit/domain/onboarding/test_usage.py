from collections.abc import Sequence
from typing import Any

import pytest

from number_verification.domain.onboarding.application import RegisteredApplication
from number_verification.domain.onboarding.principal import Principal
from number_verification.domain.onboarding.usage import UsageQuery, query
from number_verification.domain.refusal import Kind, Reason
from number_verification.domain.usage import Usage, UsageRow
from unit.domain.onboarding.world import (
    AGGREGATOR,
    BANK,
    HOMELESS,
    MANAGER,
    PARTNER,
    RIVAL_SHOP,
    SHOP,
    STAFF,
    refused,
    world,
)

ROW = UsageRow(Usage("2026-11-01", f"{SHOP}/applications/app", SHOP, AGGREGATOR, "token", "OK"), 3)
NOVEMBER = UsageQuery("", "2026-11-01", "2026-11-30")


class Usage:
    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def page(self, **asked: Any) -> Sequence[UsageRow]:
        self.asked = asked
        return [ROW]


def ask(principal: Principal, asked: UsageQuery) -> dict[str, Any]:
    registry, usage = world(), Usage()
    registry.put(
        *(
            RegisteredApplication(name=f"{owner}/applications/app", display_name="A", client_id=owner)
            for owner in (BANK, SHOP, RIVAL_SHOP)
        )
    )
    with registry.reading() as reading:
        assert query(reading, usage, principal, asked, None, 7) == [ROW]
    return usage.asked


@pytest.mark.parametrize(
    ("principal", "parent", "organization"),
    [
        (STAFF, "", ""),
        (STAFF, SHOP, SHOP),
        (PARTNER, "", AGGREGATOR),
        (PARTNER, AGGREGATOR, AGGREGATOR),
        (PARTNER, SHOP, SHOP),
        (MANAGER, "", BANK),
        (MANAGER, BANK, BANK),
    ],
)
def test_whose_usage_is_looked_up(principal: Principal, parent: str, organization: str) -> None:
    assert ask(principal, NOVEMBER._replace(parent=parent)) == {
        "reach": organization,
        "application": "",
        "first_day": "2026-11-01",
        "last_day": "2026-11-30",
        "after": None,
        "limit": 7,
    }


def test_nobody_sees_usage_out_of_reach() -> None:
    for principal, parent in ((PARTNER, RIVAL_SHOP), (PARTNER, BANK), (MANAGER, SHOP)):
        with refused(Kind.NOT_FOUND, Reason.OUT_OF_REACH):
            ask(principal, NOVEMBER._replace(parent=parent))
        with refused(Kind.NOT_FOUND, Reason.OUT_OF_REACH):
            ask(principal, NOVEMBER._replace(application=f"{parent}/applications/app"))
    with refused(Kind.PERMISSION_DENIED):
        ask(HOMELESS, NOVEMBER)


def test_one_application() -> None:
    application = f"{SHOP}/applications/app"
    assert ask(PARTNER, NOVEMBER._replace(application=application))["application"] == application
    with refused(Kind.NOT_FOUND, Reason.NO_SUCH_ENTITY):
        ask(PARTNER, NOVEMBER._replace(application=f"{application}-other"))


@pytest.mark.parametrize(
    ("first_day", "last_day", "field"),
    [
        ("2026-02-29", "2026-11-01", "firstDay"),
        ("2026-00-01", "2026-11-01", "firstDay"),
        ("0000-01-01", "2026-11-01", "firstDay"),
        ("2026-11-01", "2026-11-31", "lastDay"),
        ("2026-11-02", "2026-11-01", "lastDay"),
        ("2026-01-01", "2027-02-05", "lastDay"),
    ],
)
def test_days_that_are_none(first_day: str, last_day: str, field: str) -> None:
    with refused(Kind.INVALID_ARGUMENT, None, field):
        ask(STAFF, UsageQuery("", first_day, last_day))


@pytest.mark.parametrize(("first_day", "last_day"), [("2026-01-01", "2027-02-04"), ("2026-11-01", "2026-11-01")])
def test_from_one_day_to_four_hundred(first_day: str, last_day: str) -> None:
    assert ask(STAFF, UsageQuery("", first_day, last_day))
