"""The `X-Forwarded-For` header: no standard, but the same list from every proxy that writes it."""

from number_verification.domain.origin import NetworkOrigin
from number_verification.origin.address import parse_address
from number_verification.origin.forwarded import MAX_ELEMENTS, MAX_LENGTH


def parse_x_forwarded_for(header: str) -> tuple[NetworkOrigin | None, ...] | None:
    """What each element of the header names, in order.

    Args:
        header: the value; those of a repeated header joined by commas (RFC 9110 §5.3).

    Returns:
        One entry per element (`ip`, `ip:port`, `[v6]`, `[v6]:port`), None for one that names nobody.
        None in place of the tuple if the header is too large.
    """
    if len(header) > MAX_LENGTH or header.count(",") >= MAX_ELEMENTS:
        return None
    return tuple(parse_address(element.strip("\t ")) for element in header.split(","))
