"""Prepares qemu and arm64's C and C++ libraries, which run arm64's binaries on x86_64: `python -m tools.qemu`.

If they are not installed, apt-get downloads Debian's signed packages, and they are unpacked into a folder of this
repository. apt-get's package lists are in that folder too, so the machine's own lists do not change, and nothing is
installed.
"""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

# The oldest major version with right vectors on every processor of tests/sam/test_arm64.py. 7.2, Debian 12's own, does
# not know Neoverse V1 and multiplies matrices wrongly with SME (docs/deploy.md).
NEEDED = 10
FOLDER = Path(__file__).resolve().parents[1] / "target/qemu"
NAMES = ("qemu-aarch64-static", "qemu-aarch64")
TRIPLE = "aarch64-linux-gnu"
LIBRARIES = ("libc6-arm64-cross", "libgcc-s1-arm64-cross", "libstdc++6-arm64-cross")
# Releases of Debian whose own qemu is too old, but whose backports have a newer one.
BACKPORTED = ("bookworm",)
BRING = (
    "`make qemu` brings it and arm64's libraries on Debian 12 and later; elsewhere install qemu-user-static "
    f"(version {NEEDED} or later), libc6-arm64-cross and libstdc++6-arm64-cross"
)


class Missing(Exception):
    """No qemu that is new enough, or no arm64 libraries; BRING says how to get them."""


@dataclass(frozen=True)
class Emulator:
    qemu: Path
    # A folder whose `lib` has the dynamic linker and the libraries.
    libraries: Path


def major(qemu: Path) -> int:
    """The first number of what `--version` prints, as in `qemu-aarch64 version 10.0.2 (Debian 1:10.0.2+ds-2)`."""
    printed = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"qemu-aarch64 version (\d+)\.", printed)
    if not found:
        raise Missing(f"{qemu} does not say its version")
    return int(found[1])


def found(folder: Path = FOLDER) -> Emulator:
    """The emulator that `fetch` put into `folder`, or else the installed one. Raises Missing."""
    installed = [Path(path) for name in NAMES if (path := shutil.which(name))]
    candidates = [path for name in NAMES if (path := folder / name).is_file()] + installed
    new = [path for path in candidates if major(path) >= NEEDED]
    if not new:
        old = "".join(f"{path} is version {major(path)}, " for path in candidates)
        raise Missing(f"{old or 'there is no qemu for arm64, '}version {NEEDED} or later is needed")
    for libraries in (folder / TRIPLE, Path("/usr") / TRIPLE):
        if (libraries / "lib/libstdc++.so.6").exists() and (libraries / "lib/libc.so.6").exists():
            return Emulator(new[0], libraries)
    raise Missing("arm64's C and C++ libraries are missing")


def fetch(folder: Path = FOLDER) -> None:
    """Downloads Debian's packages and unpacks what `found` looks for into `folder`. Raises Missing."""
    system = platform.freedesktop_os_release()
    if system["ID"] != "debian" or not shutil.which("apt-get"):
        raise Missing(f"{system['PRETTY_NAME']} is not Debian")
    release = system["VERSION_CODENAME"]
    suites = [release, f"{release}-backports"] if release in BACKPORTED else [release]
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        options = _apt(Path(scratch), suites)
        _run(["apt-get", *options, "--quiet", "update"], folder)
        wanted = [f"qemu-user/{suites[-1]}", *(f"{library}/{release}" for library in LIBRARIES)]
        _run(["apt-get", *options, "--quiet", "download", *wanted], Path(scratch))
        unpacked = Path(scratch) / "unpacked"
        for package in Path(scratch).glob("*.deb"):
            _run(["dpkg-deb", "--extract", package, unpacked], folder)
        shutil.copy2(unpacked / "usr/bin/qemu-aarch64", folder)
        shutil.rmtree(folder / TRIPLE, ignore_errors=True)
        shutil.move(unpacked / "usr" / TRIPLE, folder)


def _apt(scratch: Path, suites: list[str]) -> list[str]:
    """Options with which apt-get reads `suites` of the machine's own mirror, and writes only below `scratch`."""
    listed = _run(["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"], scratch)
    mirrors = [line.split()[1] for line in listed.splitlines() if line.split()[0] == suites[0]]
    if not mirrors:
        raise Missing(f"apt's sources have no {suites[0]}")
    signed = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    sources = scratch / "sources.list"
    sources.write_text("".join(f"deb {signed} {mirrors[0]} {suite} main\n" for suite in suites))
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    settings = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": scratch / "lists",
        "Dir::Cache": scratch / "cache",
        # By default apt-get, run as root, downloads as a user who may not write here.
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    return [f"--option={name}={value}" for name, value in settings.items()]


def _run(command: list[str | Path], folder: Path) -> str:
    """The output of `command`. Raises Missing with its last lines if it failed."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if ran.returncode:
        last = " ".join((ran.stdout + ran.stderr).splitlines()[-3:])
        raise Missing(f"{command[0]} failed: {last}")
    return ran.stdout


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.qemu", description=__doc__.split("\n")[0])
    parser.parse_args()
    try:
        try:
            emulator = found()
        except Missing:
            fetch()
            emulator = found()
    except Missing as missing:
        print(f"tools.qemu: {missing}: {BRING}; TESTS_WITHOUT=arm64 leaves out the tests that need it", file=sys.stderr)
        return 1
    print(f"{emulator.qemu}: version {major(emulator.qemu)}, libraries in {emulator.libraries}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
