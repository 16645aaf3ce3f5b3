"""Builds `bootstrap` for Lambda: `cargo zigbuild`, which links against the glibc of Amazon Linux 2023.

zig has every glibc's symbols and a C compiler for both architectures, so it builds for x86_64 and arm64 on any host. A
plain build uses its host's glibc, and Ubuntu 24.04's is too new for Lambda.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# The glibc of Amazon Linux 2023, on which provided.al2023 is based.
GLIBC = "2.34"
PROFILE = "small"
# Unwinding tables only where a panic may pass; only debuggers need them for every function.
RUST_FLAGS = ["-Cforce-unwind-tables=no"]
C_FLAGS = ["-fno-asynchronous-unwind-tables"]
# The build time for C code, equal to the zip's times: 1980-01-01, in seconds. mimalloc prints the build time.
SOURCE_DATE_EPOCH = "315532800"


class BuildFailed(Exception):
    """cargo did not build the binary; its messages are on the screen."""


def build(arch: str) -> Path:
    """The stripped binary for `arch`, built from the working directory. Raises BuildFailed."""
    triple = f"{arch}-unknown-linux-gnu"
    _need_target(triple)
    # The Python environment that runs this has pinned cargo-zigbuild and zig.
    tools = Path(sys.executable).parent
    command = [str(tools / "cargo-zigbuild"), "zigbuild", "--locked", "--bin", "bootstrap"]
    command += ["--profile", PROFILE, "--target", f"{triple}.{GLIBC}"]
    outcome = subprocess.run(command, env={**os.environ, **_flags(triple), "PATH": _path(tools)}, check=False)
    if outcome.returncode != 0:
        raise BuildFailed(f"cargo zigbuild ended with status {outcome.returncode}")
    return Path(os.environ.get("CARGO_TARGET_DIR", "target")) / triple / PROFILE / "bootstrap"


def _path(tools: Path) -> str:
    return f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"


def _need_target(triple: str) -> None:
    """Has rustup install the target's standard library, if Rust comes from rustup."""
    library = Path(_rustc("--print", "sysroot")) / "lib/rustlib" / triple
    if library.is_dir():
        return
    try:
        subprocess.run(["rustup", "target", "add", triple], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildFailed(f"Rust's standard library for {triple} is missing; `rustup target add {triple}`") from error


def _flags(triple: str) -> dict[str, str]:
    """Variables for the compilers. They keep this machine's folders, which panics and assertions name, and the build's
    time out of the binary; for the time see https://reproducible-builds.org/docs/source-date-epoch/.
    """
    cargo_home = os.environ.get("CARGO_HOME") or str(Path.home() / ".cargo")
    folders = {cargo_home: "/cargo", os.getcwd(): "/lambda-embed", _rustc("--print", "sysroot"): "/rust"}
    rust = RUST_FLAGS + [f"--remap-path-prefix={folder}={name}" for folder, name in folders.items()]
    c = C_FLAGS + [f"-ffile-prefix-map={folder}={name}" for folder, name in folders.items()]
    return {
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(rust),
        f"CFLAGS_{triple.replace('-', '_')}": " ".join(c),
        "SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH,
    }


def _rustc(*arguments: str) -> str:
    return subprocess.run(["rustc", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def rust_release() -> str:
    """The release of the standard library inside the binary, such as `1.95.0`."""
    lines = dict(line.split(": ", 1) for line in _rustc("--version", "--verbose").splitlines() if ": " in line)
    return lines["release"]
