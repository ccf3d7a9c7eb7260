"""A bare WSGI application on Granian with the service's settings: reads the body, returns the answer.

Run as `python -m bench.bare.wsgi_echo PORT`.
"""

import multiprocessing
import sys
from collections.abc import Iterable

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from number_verification.listener_settings import HttpSettings
from number_verification.rest.http import Environ, StartResponse
from number_verification.supervisor import HTTP_HEADERS


def application(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/json"), ("X-Correlator", "0" * 36)])
    return [b'{"devicePhoneNumberVerified":true}']


def main() -> None:
    multiprocessing.set_start_method("spawn")
    settings = HttpSettings()
    MPServer(
        "bench.bare.wsgi_echo:application",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.WSGI,
        workers=1,
        blocking_threads=settings.threads + settings.max_waiting,
        backpressure=settings.threads + settings.max_waiting,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=10_000, max_buffer_size=HTTP_HEADERS),
        log_enabled=False,
    ).serve()


if __name__ == "__main__":
    main()
