"""Memory against latency and cost: `make bench-memory` prints the table of docs/operations.md.

Lambda's memory setting buys a share of processors. Here a container gets the same share and the same memory, and
the function in it is served over a Runtime API on loopback. Shares above the cores of this machine are left out.
On Lambda init has two whole cores whatever the setting; here it has only the share, so "ready" is the worst case.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tools import base_image, engine
from tools.bench import corpora
from tools.bench.cost import PRICE
from tools.bench.folders import OWN
from tools.bench.peers import LIBRARY, peak_megabytes
from tools.bench.report import machine, median, table, write
from tools.bench.runtime_api import RuntimeApi
from tools.bench.start import BINARY, MEGABYTES_PER_CPU, event

SIZES = (256, 512, 1024, 1769, 3538)
QUERIES = 200
# An image with this machine's own libraries, because the benchmarks' binary is linked for them.
IMAGE = "lambda-embed-bench:latest"
# A request of paragraphs, for throughput.
PARAGRAPHS = 128
REQUEST_PRICE = 0.20e-6


@dataclass(frozen=True)
class Measured:
    """Milliseconds, documents a second, megabytes."""

    ready: float
    p50: float
    p99: float
    mean: float
    documents: float
    peak: float


def measure(megabytes: int) -> Measured:
    """One container of `megabytes`, its share of processors, queries one by one and then paragraphs."""
    api = RuntimeApi()
    name = f"lambda-embed-bench-{os.getpid()}"
    share = megabytes / MEGABYTES_PER_CPU
    command = ["docker", "run", "--rm", "--name", name, "--network", "host"]
    # The largest weight there is, so that a busy machine's other programs get less.
    command += ["--cpu-shares", "262144", "--cpus", f"{share:.3f}", "--memory", f"{megabytes}m", "--memory-swap", f"{megabytes}m"]
    for path, inside in ((BINARY, "bootstrap"), (LIBRARY, "lib/libonnxruntime.so"), (OWN, "model")):
        command += ["--volume", f"{path.resolve()}:/var/task/{inside}:ro"]
    variables = {
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "lambda-embed",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(megabytes),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    }
    for key, value in variables.items():
        command += ["--env", f"{key}={value}"]
    command += [IMAGE, "/var/task/bootstrap"]
    queries = [event([text]) for text in corpora.short(QUERIES)]
    paragraphs = [event(corpora.mixed(PARAGRAPHS))] * 3
    # A file, because the function would wait once a pipe that nobody reads is full.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            observed = api.serve([*queries, *paragraphs])
            if observed.failure is not None:
                raise RuntimeError(observed.failure.decode(errors="replace"))
            found = ["docker", "inspect", "--format", "{{.State.Pid}}", name]
            pid = int(subprocess.run(found, capture_output=True, text=True, check=True).stdout)
            peak = peak_megabytes(pid)
        finally:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True, check=False)
            process.wait()
            api.close()
        output.seek(0)
        log = output.read()
    took = [after - before for before, after in zip(observed.handed_out, observed.answers, strict=True)]
    calls = sorted(seconds * 1e3 for seconds in took[:QUERIES])
    lines = [json.loads(line) for line in log.splitlines() if '"session_ms"' in line]
    return Measured(
        ready=lines[0]["total_ms"],
        p50=median(calls),
        p99=calls[int(len(calls) * 0.99)],
        mean=fmean(calls),
        documents=PARAGRAPHS / median(took[QUERIES:]),
        peak=peak,
    )


@contextmanager
def docker() -> Iterator[None]:
    """The user's Docker engine, or one that this starts. Raises RuntimeError if neither answers."""
    if engine.answers():
        yield
        return
    if not engine.Engine.startable():
        raise RuntimeError("no Docker engine answers, and only root, with dockerd installed, can start one")
    own = engine.Engine()
    os.environ["DOCKER_HOST"] = own.environment["DOCKER_HOST"]
    try:
        yield
    finally:
        own.stop()


def measurements(runs: int) -> dict[int, list[Measured]]:
    """`runs` containers of every size that this machine's cores have room for, in turn."""
    base_image.imported(IMAGE)
    sizes = [size for size in SIZES if size <= len(os.sched_getaffinity(0)) * MEGABYTES_PER_CPU]
    found: dict[int, list[Measured]] = {size: [] for size in sizes}
    for _ in range(runs):
        for size in sizes:
            found[size].append(measure(size))
    return found


def row(megabytes: int, found: Measured) -> dict[str, object]:
    """The row that helps a reader choose; dollars for x86_64."""
    second = megabytes / 1024 * PRICE["x86_64"]
    # The mean, because Lambda also bills the time in which a query waits for the next part of its share.
    query = 1e6 * (max(found.mean / 1e3, 0.001) * second + REQUEST_PRICE)
    paragraphs = 1e6 / found.documents * second + 1e6 / PARAGRAPHS * REQUEST_PRICE
    return {
        "memory, MB": megabytes,
        "vCPU": f"{megabytes / MEGABYTES_PER_CPU:.2f}",
        "ready, ms": f"{found.ready:.0f}",
        "query p50, ms": found.p50,
        "query p99, ms": found.p99,
        "paragraphs/s": f"{found.documents:.0f}",
        "peak, MB": f"{found.peak:.0f}",
        "$ for 1M queries": f"{query:.2f}",
        "$ for 1M paragraphs": f"{paragraphs:.2f}",
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.memory", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="containers of each size, default: %(default)s")
    options = parser.parse_args()
    try:
        with docker():
            found = measurements(options.runs)
    except (RuntimeError, base_image.Missing) as error:
        print(f"tools.bench.memory: {error}", file=sys.stderr)
        return 1
    rows = [row(size, min(runs, key=lambda m: m.p50)) for size, runs in found.items()]
    print(f"{machine()}; the best of {options.runs} runs of each\n\n{table(rows)}")
    write(Path("target/bench/memory.json"), {"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
