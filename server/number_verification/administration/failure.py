"""How a command fails: one line that says why, what there is to say of it in detail, and an exit code."""

import enum
from collections.abc import Sequence


class Exit(enum.IntEnum):
    """The exit codes."""

    REFUSED = 1
    """The service refused, or what was looked at is not as it must be."""
    WRONG_USE = 2
    """The command line, or a file that it names, is not right. Nothing was sent that changes anything."""
    NOT_REACHABLE = 3
    """The service cannot be reached, or cannot answer now. To be tried again."""
    CHANGES = 4
    """Not a failure: a dry run found something to do."""


class Failure(Exception):
    """A command cannot go on.

    Args:
        message: one line for people. Holds no phone number, token or key.
        exit_code: which kind of failure it is.
        details: further lines.
        code: the status of the call that failed, as gRPC names it; empty for none.
    """

    def __init__(
        self, message: str, exit_code: Exit = Exit.WRONG_USE, details: Sequence[str] = (), code: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
        self.details = tuple(details)
        self.code = code
