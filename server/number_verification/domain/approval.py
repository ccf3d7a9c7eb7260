"""Whether a subscriber agrees to what an application wants to do: consent and opt-outs."""

from typing import Protocol

from number_verification.domain.application import Application
from number_verification.domain.clock import Milliseconds
from number_verification.domain.refusal import Reason
from number_verification.domain.session import Subscriber


class Approvals(Protocol):
    """Where it is looked up. Subscribers are known by their phone number."""

    def objection(
        self,
        subscriber: Subscriber,
        application: Application,
        purpose: str,
        scopes: frozenset[str],
        now: Milliseconds,
    ) -> Reason | None:
        """Why nothing may be done for this purpose, by all that is on record; None if it may.

        Where the legal basis is consent, one must be given for the purpose and every API scope, and be neither
        withdrawn nor expired. Where it is consent, legitimate interest or public interest, an opt-out counts.

        Raises:
            StoreUnavailable: that cannot be told.
        """
        ...

    def withdrawal(
        self, phone_number: str, application: Application, purpose: str, since: Milliseconds
    ) -> Reason | None:
        """Why a grant of `since`, at most five minutes ago, is dead: consent withdrawn, or opted out, after it.

        Asked at every call: looks into memory only, which is kept fresh.

        Raises:
            Refusal: UNAVAILABLE, STALE_REGISTRY: what is in memory is too old to be relied on.
        """
        ...
