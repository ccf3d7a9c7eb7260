"""A worker process: gRPC and HTTP side by side, on the same stores and the same interceptors."""

import gc
import multiprocessing
import os
import signal
import threading
from multiprocessing.util import Finalize

from number_verification import log
from number_verification.app import Listeners, build
from number_verification.config import Settings
from number_verification.rest.application import HttpApplication


def load(settings: Settings, listeners: Listeners) -> HttpApplication:
    """Start the gRPC servers of this process and return what its HTTP server serves."""
    log.configure()
    end_with_parent(settings.drain_seconds)
    try:
        service = build(settings, listeners)
        service.start()
    except Exception as exception:  # noqa: BLE001 - told in the log, as everything is
        log.fault("worker_failed", exception)
        raise SystemExit(1) from None
    _spare_the_collector()
    # The HTTP server runs until it was told to stop and has drained. Then it is the gRPC servers' turn.
    Finalize(None, service.stop, exitpriority=100)
    return service.http


def _spare_the_collector() -> None:
    """Leave what lives as long as the process out of garbage collection, and collect less often.

    Calls leave no cycles behind. Collections that look for some took 5 % of a call's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def end_with_parent(grace: float) -> None:
    """Leave the terminal's process group, whose Ctrl-C is the parent's to handle, and stop when the parent is gone."""
    os.setpgid(0, 0)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(grace + 5)
            os._exit(1)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
