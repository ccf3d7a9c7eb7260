"""Who is at the other end of the connection."""

from urllib.parse import unquote

import grpc


def peer_address(context: grpc.ServicerContext) -> str:
    """The address of the peer without its port; empty for peers that have none (a Unix socket).

    gRPC writes `ipv4:1.2.3.4:5` and `ipv6:%5B::1%5D:5` (gRFC A5, address URIs).
    """
    scheme, _, rest = context.peer().partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return ""
    address = unquote(rest).rpartition(":")[0]
    return address.strip("[]").partition("%")[0]


def peer_identities(context: grpc.ServicerContext) -> frozenset[str]:
    """The names in the peer's verified client certificate: its subject alternative names and its common name."""
    properties = context.auth_context()
    names = [*properties.get("x509_subject_alternative_name", ()), *properties.get("x509_common_name", ())]
    return frozenset(name.decode("utf-8", "replace") for name in names)
