"""Ports: reserved once, then shared by the processes that listen on them."""

import socket

from number_verification.listener_settings import ListenAddress


def reserve(address: ListenAddress) -> socket.socket:
    """A TCP socket that keeps an address for this service: bound, but not listening, so that it gets no connections.

    Raises:
        OSError: the address is in use, or none of this machine.
    """
    # With SO_REUSEPORT alone, a second service of the same user would share the port without anybody noticing.
    with _bound(address, reuse_port=False) as alone:
        address = bound_address(alone)
    return _bound(address, reuse_port=True)


def listen(address: ListenAddress) -> socket.socket:
    """A listening TCP socket on a reserved address; more processes may listen there too.

    Raises:
        OSError: the address is in use, or none of this machine.
    """
    listener = _bound(address, reuse_port=True)
    listener.listen(1024)
    return listener


def with_port(address: ListenAddress) -> ListenAddress:
    """The address, with a port that is free now if it has none.

    Raises:
        OSError: the address is none of this machine.
    """
    if address.port:
        return address
    with _bound(address, reuse_port=False) as alone:
        return bound_address(alone)


def bound_address(bound: socket.socket) -> ListenAddress:
    """Where a socket is bound."""
    host, port = bound.getsockname()[:2]
    return ListenAddress(host=host, port=port)


def _bound(address: ListenAddress, *, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((address.host, address.port))
    except BaseException:
        bound.close()
        raise
    return bound
