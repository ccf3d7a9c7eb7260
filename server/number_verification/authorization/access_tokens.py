"""Both kinds of access token, told apart by their form (design D2)."""

from collections.abc import Mapping
from dataclasses import dataclass

from number_verification.authorization import external_tokens, reference_tokens
from number_verification.authorization.external_tokens import ExternalIssuer
from number_verification.domain.clock import Clock
from number_verification.domain.grant import AccessGrant
from number_verification.onetime.store import OneTimeStore


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """Turns any access token into its grant, using it up.

    Args:
        one_time: keeps our own tokens, and what was used of others'.
        issuers: the external issuers that are trusted, by their issuer identifier.
    """

    one_time: OneTimeStore
    issuers: Mapping[str, ExternalIssuer]
    clock: Clock

    def __call__(self, token: str) -> AccessGrant:
        """The grant that a token stands for.

        Raises:
            Refusal: UNAUTHENTICATED for a token that is not good; UNAVAILABLE where an issuer's keys cannot be had.
            StoreUnavailable: the token cannot be used up.
        """
        if token.count(".") == 2:
            return external_tokens.redeem(token, self.issuers, self.one_time, self.clock())
        return reference_tokens.redeem(token, self.one_time, self.clock())
