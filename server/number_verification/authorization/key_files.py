"""Files that hold secrets of ours: for the owner only, whole or not there at all, written by one process at a time."""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OTHERS = 0o077
_SECRET_BYTES = 32


class KeyFileUnusable(Exception):
    """A file that cannot be used as it is. The message is for the operator and holds nothing of its content."""


def read(path: Path) -> bytes | None:
    """The content of a file; None if there is none.

    Raises:
        KeyFileUnusable: it cannot be read, or others than its owner may.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OTHERS:
                raise KeyFileUnusable(f"{path} is open to others than its owner; its mode must be 0600")
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileUnusable(f"{path} cannot be read: {error.strerror}") from None


def write(path: Path, content: bytes) -> None:
    """Write a file, or replace it as a whole; when this returns, it is on disk. Only to be called inside `locked`.

    Raises:
        KeyFileUnusable: it cannot be written.
    """
    unfinished = path.with_name(path.name + ".new")
    try:
        # What a process left unfinished when it died is begun anew, so that its mode is not inherited either.
        unfinished.unlink(missing_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise KeyFileUnusable(f"{path} cannot be written: {error.strerror}") from None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def secret(path: Path) -> bytes:
    """A secret of 32 random bytes, the same for ever: made where there is none.

    Raises:
        KeyFileUnusable: it cannot be kept, or what is kept is something else.
    """
    with locked(path.parent):
        content = read(path)
        if content is None:
            content = secrets.token_bytes(_SECRET_BYTES)
            write(path, content)
    if len(content) != _SECRET_BYTES:
        raise KeyFileUnusable(f"{path} does not hold {_SECRET_BYTES} bytes")
    return content


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep every other process and thread out of a directory's files; it is created if there is none.

    The death of a process frees its lock.

    Raises:
        KeyFileUnusable: the directory cannot be used.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeyFileUnusable(f"{directory} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
