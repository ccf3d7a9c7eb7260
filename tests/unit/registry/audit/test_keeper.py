"""Keeping the trail: what it needs may come later, and nothing is purged that was not counted."""

import pytest

from number_verification.domain.clock import SECOND
from number_verification.domain.faults import StoreUnavailable
from number_verification.registry.audit import files
from number_verification.registry.audit.files import DAY, day_of
from number_verification.registry.audit.keeper import ACCOUNT_EVERY, AuditKeeper
from number_verification.registry.audit.sealer import Sealer
from number_verification.registry.usage import SqlUsage
from unit.registry.audit.support import START, Place
from unit.registry.audit.test_usage import counts, opened


@pytest.fixture
def keeper(place: Place) -> AuditKeeper:
    return AuditKeeper(place.audit, place.keys, place.numbers, lambda: place.now)


def test_it_seals_counts_and_purges(place: Place, keeper: AuditKeeper) -> None:
    store = SqlUsage(opened(place))
    for day in range(5):
        place.now = START + day * DAY
        place.record(4)
        keeper.seal()
        keeper.account(store, keep_days=2)
    assert files.days(place.audit) == [day_of(START + day * DAY) for day in (2, 3, 4)]
    assert counts(store).total() == 20
    assert place.kinds() == []
    keeper.close()


def test_accounts_are_not_drawn_up_all_the_time(place: Place, keeper: AuditKeeper) -> None:
    store = SqlUsage(opened(place))
    keeper.account(store, keep_days=2)
    place.record(3)
    keeper.account(store, keep_days=2)
    assert counts(store).total() == 0
    place.now += ACCOUNT_EVERY
    keeper.account(store, keep_days=2)
    assert counts(store).total() == 3
    # A clock that was set back does not stop them.
    place.now -= 100 * SECOND
    place.record(3)
    keeper.account(store, keep_days=2)
    assert counts(store).total() == 6
    keeper.close()


def test_it_waits_for_its_predecessor_to_go(place: Place, keeper: AuditKeeper) -> None:
    predecessor = Sealer(place.audit, place.seal_key, lambda: place.now)
    place.record()
    with pytest.raises(StoreUnavailable):
        keeper.seal()
    predecessor.close()
    keeper.seal()
    assert place.verify().sealed_records == 1
    keeper.close()
