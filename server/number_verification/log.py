"""The operator's log: one JSON object a line on standard error.

Names of events and of fields are stable. No phone number, IMSI, token or key is ever a field (invariant 6).
"""

import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str).encode
_quoted = json.encoder.encode_basestring
_STDERR = 2


def event(name: str, /, **fields: object) -> None:
    """Write one line. A line that cannot be written is lost: the log never stops the service."""
    line = f'{{"time":{time.time():.6f},"event":{_quoted(name)}'
    for field, value in fields.items():
        # Nearly all values are strings, for which the encoder's set-up would cost more than its work.
        line += f",{_quoted(field)}:{_quoted(value) if type(value) is str else _encode(value)}"
    try:
        os.write(_STDERR, f"{line}}}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        return


def fault(name: str, exception: BaseException, /, **fields: object) -> None:
    """Write one line about a fault of ours: the exception's type and where it happened, but not its text.

    Texts of exceptions may quote what they stumbled over, a number among it.
    """
    frames = traceback.extract_tb(exception.__traceback__)
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames[-6:]]
    event(name, level="error", exception=type(exception).__qualname__, where=where, **fields)


class _Lines(logging.Handler):
    """What libraries log, as lines of ours: without their exceptions' texts."""

    def emit(self, record: logging.LogRecord) -> None:
        exception = record.exc_info[1] if record.exc_info else None
        if exception is not None:
            fault("library_fault", exception, logger=record.name)
        else:
            event("library", level=record.levelname.lower(), logger=record.name, message=record.getMessage())


def configure() -> None:
    """Send what libraries log through this module."""
    # gRPC's core writes lines of its own, which are no JSON and may quote what a peer sent. Read when it is imported.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.basicConfig(handlers=[_Lines()], level=logging.WARNING, force=True)
    # grpcio logs "Exception calling application" with the exception's text, after our own line about the same fault.
    logging.getLogger("grpc._server").disabled = True
    sys.excepthook = lambda _, exception, __: fault("crash", exception)
