"""Page tokens (AIP-158): where a page ended, for the one listing that it was given out for."""

import base64
import binascii
import hashlib
import hmac

from number_verification.domain.onboarding.refusals import invalid

_MAC_LENGTH = 16


class PageTokens:
    """Writes and reads page tokens.

    A token holds nothing that the caller was not shown. The seal keeps callers from making their own, and from using
    one for another listing, which would skip entities without a word.

    Args:
        key: seals them; the same in all processes that serve the same callers.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, last: str, *listing: str) -> str:
        """A token for what comes after an entity.

        Args:
            last: what the page ended with.
            listing: what is listed: the method, and all parameters that choose what is listed.
        """
        content = last.encode()
        return base64.urlsafe_b64encode(self._seal(content, listing) + content).rstrip(b"=").decode()

    def last(self, token: str, *listing: str) -> str:
        """What the page ended with that a token was given out for; empty where there is no token.

        Raises:
            Refusal: INVALID_ARGUMENT: the token was not given out by us, or for another listing.
        """
        if not token:
            return ""
        try:
            decoded = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), b"-_", validate=True)
            seal, content = decoded[:_MAC_LENGTH], decoded[_MAC_LENGTH:]
            if hmac.compare_digest(seal, self._seal(content, listing)):
                last = content.decode()
                if hmac.compare_digest(self.token(last, *listing), token):
                    return last
        except (UnicodeError, binascii.Error, ValueError):
            pass
        raise invalid("pageToken", "is not one that was returned for this listing")

    def _seal(self, content: bytes, listing: tuple[str, ...]) -> bytes:
        sealed = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in (*(text.encode() for text in listing), content):
            sealed.update(len(part).to_bytes(4) + part)
        return sealed.digest()[:_MAC_LENGTH]
