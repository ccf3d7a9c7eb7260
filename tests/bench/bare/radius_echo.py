"""A bare RADIUS server: signs an answer to every packet, and neither checks nor reads nor records anything.

Run as `python -m bench.bare.radius_echo PORT SECRET`.
"""

import hashlib
import socket
import sys


def main() -> None:
    secret = sys.argv[2].encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        server.bind(("127.0.0.1", int(sys.argv[1])))
        while True:
            packet, source = server.recvfrom(4096)
            head = bytes((5, packet[1], 0, 20))
            server.sendto(head + hashlib.md5(head + packet[4:20] + secret, usedforsecurity=False).digest(), source)


if __name__ == "__main__":
    main()
