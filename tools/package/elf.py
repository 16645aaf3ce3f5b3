"""Whether a file will load on provided.al2023: architecture, glibc, other libraries, nothing left to strip.

Asked of `readelf` (binutils), which reads every architecture's files.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tools.package.binary import GLIBC

MACHINES = {"x86_64": "Advanced Micro Devices X86-64", "aarch64": "AArch64"}
# Amazon Linux 2023's GCC 11: the newest C++ symbols it has.
GLIBCXX = "3.4.29"
# The libraries of the base image; the package has to contain all others.
PRESENT = {
    "ld-linux-aarch64.so.1",
    "ld-linux-x86-64.so.2",
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "libstdc++.so.6",
}


def complaints(path: Path, arch: str) -> list[str]:
    """One line for each reason why Lambda on `arch` could not load `path`, or why the file is larger than necessary."""
    header = _readelf("--file-header", path)
    if MACHINES[arch] not in header:
        return [f"{path.name}: not a file for {arch}"]
    found = []
    versions = _readelf("--version-info", path)
    for family, newest in (("GLIBC", GLIBC), ("GLIBCXX", GLIBCXX)):
        needed = newest_version(versions, family)
        if needed and _numbers(needed) > _numbers(newest):
            found.append(f"{path.name}: needs {family}_{needed}, Amazon Linux 2023 has {newest}")
    for library in re.findall(r"\(NEEDED\).*\[(.+)\]", _readelf("--dynamic", path)):
        if library not in PRESENT:
            found.append(f"{path.name}: needs {library}, which the base image does not have")
    if re.search(r"\s\.(symtab|debug_info)\s", _readelf("--section-headers", path)):
        found.append(f"{path.name}: not stripped")
    return found


def newest_version(version_info: str, family: str) -> str | None:
    """The newest `family` version that readelf's version sections name: "2.34" for GLIBC_2.34."""
    versions = re.findall(rf"Name: {family}_([0-9.]+)", version_info)
    return max(versions, key=_numbers, default=None)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _readelf(what: str, path: Path) -> str:
    command = ["readelf", "--wide", what, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/local/bin"}).stdout
