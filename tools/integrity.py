"""Hashes and atomic writes: a half-written or altered file is never used.

Invariant: a file under its final name has been verified. Everything is written beside its
destination under a temporary name and renamed, which POSIX does atomically within a file system.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 1 << 20


class IntegrityError(Exception):
    """Bytes are not the pinned ones; the message names the file and both hashes."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def matches(path: Path, sha256: str) -> bool:
    """Whether `path` is a file with this SHA-256."""
    return path.is_file() and sha256_of(path) == sha256


def require(path: Path, sha256: str) -> None:
    """Raises IntegrityError unless the file has this SHA-256."""
    actual = sha256_of(path)
    if actual != sha256:
        raise IntegrityError(f"{path}: sha256 is {actual}, expected {sha256}")


def write_verified(path: Path, content: bytes, sha256: str, mode: int = 0o644) -> None:
    """Writes `content` to `path` in one step, once its SHA-256 is the pinned one."""
    actual = hashlib.sha256(content).hexdigest()
    if actual != sha256:
        raise IntegrityError(f"{path.name}: sha256 is {actual}, expected {sha256}")
    write_atomically(path, content, mode)


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes a file under a temporary name beside `path` and renames it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.chmod(mode)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Holds a lock file; other processes that want the same one wait until this one is done."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
