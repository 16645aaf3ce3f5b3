"""Starts the function behind a Runtime API on loopback, sends it events, and measures the times from outside."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench.peers import LIBRARY, peak_megabytes, pinned
from tools.bench.runtime_api import Observed, RuntimeApi

BINARY = Path("target/release/bootstrap")
# Megabytes for one virtual CPU on Lambda; the function uses one thread for each virtual CPU.
MEGABYTES_PER_CPU = 1769


@dataclass(frozen=True)
class Start:
    """Milliseconds from the process's start to ready and to each answer, and of each call; megabytes."""

    ready: float
    answered: list[float]
    calls: list[float]
    peak: float
    stages: dict[str, float]


def event(texts: Sequence[str]) -> bytes:
    """A direct invocation with `texts`."""
    return json.dumps({"inputs": texts}).encode()


def start(
    model: Path | None,
    events: Sequence[bytes],
    cores: int = 2,
    variables: dict[str, str] | None = None,
    pause: float = 0,
    within: Sequence[str] = (),
    watch: Callable[[int, int], None] = lambda pid, answers: None,
) -> Start:
    """Starts the function on `cores` cores, hands it `events`, each after `pause` seconds, and ends it; `variables`
    name the model where `model` is None. `within` is a command that runs the function, `watch` is told its
    process id and the number of answers after each of them.

    Raises RuntimeError with the cause when it reports a failed start.
    """
    api = RuntimeApi()
    environment = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "lambda-embed",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEGABYTES_PER_CPU * cores),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        **({"EMBED_MODEL_DIR": str(model.resolve())} if model else {}),
        "EMBED_ORT_LIB": str(LIBRARY.resolve()),
        "EMBED_LOG": "info",
        **(variables or {}),
    }
    command = [*within, *pinned(cores), str(BINARY.resolve())]
    began = time.monotonic()
    # A file, because the function would wait once a pipe that nobody reads is full.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            observed = api.serve(events, pause, lambda answers: watch(process.pid, answers))
            peak = peak_megabytes(process.pid)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
            api.close()
        output.seek(0)
        log = output.read().decode(errors="replace")
    if observed.failure is not None:
        raise RuntimeError(observed.failure.decode(errors="replace"))
    return _timed(observed, began, peak, log)


def _timed(observed: Observed, began: float, peak: float, log: str) -> Start:
    spans = zip(observed.handed_out, observed.answers, strict=False)
    return Start(
        ready=(observed.ready - began) * 1e3,
        answered=[(answer - began) * 1e3 for answer in observed.answers],
        calls=[(answer - handed_out) * 1e3 for handed_out, answer in spans],
        peak=peak,
        stages=_stages(log),
    )


def _stages(log: str) -> dict[str, float]:
    """The stages of the start that the function reports, in milliseconds; stages overlap."""
    for line in log.splitlines():
        if '"session_ms"' in line:
            fields = json.loads(line)
            return {name[: -len("_ms")]: value for name, value in fields.items() if name.endswith("_ms")}
    return {}
