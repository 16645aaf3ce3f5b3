"""Loads `bootstrap serve` with 1, 2 and 10 times what it can answer: `python -m tools.load`.

hey (Debian's package of that name) is the generator. Capacity is the rate that as many workers as there are cores
reach, each sending one request after the other. Then requests come at 1, 2 and 10 times that rate, independent of
earlier answers: there are enough workers that each has time to wait for its answer.

Prints one row for each rate. Fails if goodput at 10 times is under 90 % of the best, if a 5xx other than 503 came, if
the slowest accepted calls took longer than all admitted work takes, or if memory passed its limit.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

TEXTS = 8
SENTENCE = "The quick brown fox jumps over the lazy dog while nine wizards boil toxic punch. "
WORKERS_PER_RATE = 64
# All of hey's workers send at the same moment, once in each period. Several processes of hey, each started a little
# later, spread the requests, so that the load is a rate and not a series of bursts.
GENERATORS = 8
MEMORY_MB = 512


@dataclass(frozen=True)
class Outcome:
    offered: float
    goodput: float
    turned_away: int
    errors: int
    p50_ms: float
    p99_ms: float
    resident_mb: float


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def generate(address: str, workers: int, seconds: int, rate: float | None, server: int) -> Outcome:
    """One run of hey: `rate` requests a second in all; without one, as fast as they are answered."""
    texts = [f"{number} {SENTENCE * 3}" for number in range(TEXTS)]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as body:
        json.dump({"encoding_format": "base64", "input": texts}, body)
        body.flush()
        command = ["hey", "-z", f"{seconds}s", "-m", "POST", "-T", "application/json", "-t", "0"]
        command += ["-D", body.name, "-o", "csv"]
        generators = 1 if rate is None else GENERATORS
        command += ["-c", str(workers // generators)] + ([] if rate is None else ["-q", str(rate / workers)])
        command.append(f"http://{address}/v1/embeddings")
        running = []
        for _ in range(generators):
            running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            time.sleep(workers / rate / generators if rate else 0)
        with ThreadPoolExecutor(generators) as readers:
            printed = list(readers.map(lambda generator: generator.communicate()[0], running))
    rows = [row for text in printed for row in csv.DictReader(io.StringIO(text))]
    served = sorted(float(row["response-time"]) for row in rows if row["status-code"] == "200")
    turned_away = sum(row["status-code"] in ("429", "503") for row in rows)
    at = lambda share: 1000 * served[min(len(served) - 1, int(len(served) * share))] if served else 0.0
    return Outcome(
        offered=len(rows) / seconds,
        goodput=len(served) / seconds,
        turned_away=turned_away,
        errors=len(rows) - len(served) - turned_away,
        p50_ms=at(0.5),
        p99_ms=at(0.99),
        resident_mb=resident_mb(server),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.load", description=__doc__.split("\n")[0])
    parser.add_argument("--binary", type=Path, default=Path("target/release/bootstrap"))
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--runtime", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=20, help="a run's length (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=16, help="EMBED_MAX_CALLS (default: %(default)s)")
    options = parser.parse_args()
    if not shutil.which("hey"):
        print("load: hey is missing; on Debian: apt-get install hey", file=sys.stderr)
        return 2
    environment = {**os.environ, "EMBED_MODEL_DIR": str(options.model), "EMBED_LOG": "error"}
    environment |= {"EMBED_ORT_LIB": str(options.runtime / "libonnxruntime.so"), "EMBED_MAX_CALLS": str(options.calls)}
    command = [str(options.binary), "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = server.stdout.readline().split("http://")[1].split()[0]
            return measure(address, server.pid, options)
        finally:
            server.terminate()


def measure(address: str, server: int, options: argparse.Namespace) -> int:
    cores = len(os.sched_getaffinity(0))
    generate(address, cores, 5, None, server)
    best = generate(address, cores, options.seconds, None, server)
    print(f"{TEXTS} texts a request, {cores} cores, at most {options.calls} calls at once")
    print("| load | offered /s | answered /s | rejected | other errors | p50 ms | p99 ms | resident MB |")
    print("|---|---|---|---|---|---|---|---|")
    row("as fast as it answers", best)
    outcomes = {}
    for times in (1, 2, 10):
        outcomes[times] = generate(address, WORKERS_PER_RATE * times, options.seconds, best.goodput * times, server)
        row(f"{times}x", outcomes[times])
    peak = resident_mb(server, "VmHWM")
    best_goodput = max(best.goodput, *(outcome.goodput for outcome in outcomes.values()))
    share = outcomes[10].goodput / best_goodput
    # The time of all calls admitted before this one, doubled for the machine's other work.
    bound_ms = 2 * 1000 * options.calls / outcomes[10].goodput
    print(f"goodput at 10x: {share:.1%} of the best; p99's bound {bound_ms:.0f} ms; memory's peak {peak:.0f} MB")
    failed = share < 0.9 or any(outcome.errors for outcome in outcomes.values())
    return 1 if failed or peak > MEMORY_MB or outcomes[10].p99_ms > bound_ms else 0


def row(load: str, outcome: Outcome) -> None:
    print(
        f"| {load} | {outcome.offered:.0f} | {outcome.goodput:.1f} | {outcome.turned_away} | {outcome.errors} "
        f"| {outcome.p50_ms:.0f} | {outcome.p99_ms:.0f} | {outcome.resident_mb:.0f} |"
    )


if __name__ == "__main__":
    sys.exit(main())
