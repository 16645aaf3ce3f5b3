"""One start of the function, timed from outside: process start, ready, first answer, peak memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tools.bench.runtime_api import RuntimeApi

# What every start answers: one short text.
EVENT = json.dumps({"inputs": "what does a cold start cost?"}).encode()


@dataclass(frozen=True)
class Start:
    """Milliseconds from the process's start, and megabytes."""

    ready: float
    first: float
    second_call: float
    peak: float
    stages: str


def start(folder: Path, variables: dict[str, str], cores: int, calls: int = 2) -> Start:
    """Starts `folder`/bootstrap on `cores` cores, hands it `calls` events and ends it.

    Raises RuntimeError with the cause when it reports a failed start.
    """
    api = RuntimeApi()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "lambda-embed",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "EMBED_LOG": "info",
        **variables,
    }
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    command = ["taskset", "--cpu-list", ",".join(map(str, chosen)), str((folder / "bootstrap").resolve())]
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        observed = api.serve([EVENT] * calls)
        peak = _peak_megabytes(process.pid)
    finally:
        process.send_signal(signal.SIGKILL)
        log = process.communicate()[0].decode(errors="replace")
        api.close()
    if observed.failure is not None:
        raise RuntimeError(observed.failure.decode(errors="replace"))
    ms = 1e3
    return Start(
        ready=(observed.ready - began) * ms,
        first=(observed.answers[0] - began) * ms,
        second_call=(observed.answers[-1] - observed.handed_out[-1]) * ms,
        peak=peak,
        stages=next((line for line in log.splitlines() if "ready in" in line), ""),
    )


def _peak_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024
