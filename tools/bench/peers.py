"""The programs that are compared, each a process that reads lists of texts and answers with seconds.

    peer process -> `ready` after its first vector -> one line of texts in, one line of seconds out

All are given the same model folder, the same library and the same cores.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench.stock import FOLDER as STOCK

LIBRARY = Path("target/runtime") / platform.machine() / "libonnxruntime.so"
PEERS = Path("target/peers/release")
PYTHON = Path("target/bench/venv/bin/python")


def fastembed(batch: int, folder: Path = STOCK) -> list[str]:
    """FastEmbed, the founding article's library. Its own default batch is 256."""
    return [str(PYTHON), "tools/bench/fastembed_peer.py", str(folder), str(batch)]


def fastembed_rs(batch: int, folder: Path = STOCK) -> list[str]:
    """fastembed-rs, the same in Rust. Its own default batch is 256."""
    return [str(PEERS / "fastembed-rs"), str(folder), str(batch)]


def bare(folder: Path = STOCK, threads: int = 2) -> list[str]:
    """A loop over `ort` sessions of one thread each, side by side."""
    return [str(PEERS / "bare"), str(folder), str(threads)]


@dataclass(frozen=True)
class Done:
    """What a peer did: milliseconds from its start to its first vector, seconds for each list of texts,
    and megabytes at its peak."""

    first: float
    seconds: list[float]
    peak: float


def run(command: Sequence[str], lists: Sequence[Sequence[str]], cores: int = 2) -> Done:
    """Starts a peer, hands it `lists` one after another and ends it. Raises RuntimeError when it fails."""
    environment = os.environ | {
        "ORT_DYLIB_PATH": str(LIBRARY.resolve()),
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
    }
    began = time.monotonic()
    with subprocess.Popen(
        [*pinned(cores), *command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"{command[0]} did not start")
            first = (time.monotonic() - began) * 1e3
            seconds = [_ask(process, texts) for texts in lists]
            return Done(first, seconds, peak_megabytes(process.pid))
        finally:
            process.kill()


def _ask(process: subprocess.Popen, texts: Sequence[str]) -> float:
    process.stdin.write(json.dumps(texts) + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def pinned(cores: int) -> list[str]:
    """The command that holds what follows to the first `cores` of this process's cores."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    return ["taskset", "--cpu-list", ",".join(map(str, chosen))]


def peak_megabytes(pid: int) -> float:
    """The process's largest resident set so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024
