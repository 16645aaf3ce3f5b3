"""Builds `bootstrap` for Lambda: `cargo zigbuild`, which links against the glibc of Amazon Linux 2023.

zig carries every glibc's symbols and a C compiler for both architectures, so one way serves x86_64 and
arm64 from any host; a plain build takes its host's glibc, and Ubuntu 24.04's is too new for Lambda.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

# Amazon Linux 2023's, which provided.al2023 is made of.
GLIBC = "2.34"
PROFILE = "small"
# Unwinding tables where a panic may pass, and not for every function, which only debuggers ask for.
RUST_FLAGS = ["-Cforce-unwind-tables=no"]
C_FLAGS = ["-fno-asynchronous-unwind-tables"]
# What C code takes for the time of its build, the zip's own; mimalloc prints it. 1980-01-01, in seconds.
SOURCE_DATE_EPOCH = "315532800"


class BuildFailed(Exception):
    """cargo did not build the binary; its own words are on the screen."""


def build(arch: str) -> Path:
    """The stripped binary for `arch`, built from the working directory. Raises BuildFailed."""
    triple = f"{arch}-unknown-linux-gnu"
    _need_target(triple)
    # The environment that runs this holds cargo-zigbuild and zig, pinned.
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
    """Asks rustup for the target's standard library, where rustup is what manages Rust."""
    library = Path(_rustc("--print", "sysroot")) / "lib/rustlib" / triple
    if library.is_dir():
        return
    try:
        subprocess.run(["rustup", "target", "add", triple], check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildFailed(f"Rust's standard library for {triple} is missing; `rustup target add {triple}`") from error


def _flags(triple: str) -> dict[str, str]:
    """Variables for the compilers. This machine's folders are kept out of the binary: panics and assertions name files.

    So is the time, by https://reproducible-builds.org/docs/source-date-epoch/.
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
    """`1.95.0`, what the standard library inside the binary is."""
    lines = dict(line.split(": ", 1) for line in _rustc("--version", "--verbose").splitlines() if ": " in line)
    return lines["release"]
