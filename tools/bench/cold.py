"""Cold start: `make bench-cold` prints the table and writes target/bench/cold.json.

Process start to the first request for an event, and to the first answer: bundled, on one core and on two,
with the files in the page cache and dropped from it, hashes checked or trusted; beside FastEmbed and
fastembed-rs on the same int8 file. Every round starts each program once, so that a slow minute of the
machine is everybody's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tools.bench import peers
from tools.bench.peers import LIBRARY
from tools.bench.report import median, table, write
from tools.bench.start import BINARY, Start, event, start
from tools.bench.stock import SHAPE

EVENT = event(["what does a cold start cost?"])
CALLS = 100
MODEL = Path("models") / SHAPE


def drop_from_page_cache(paths: list[Path]) -> None:
    """Asks the kernel to forget the files' pages, so that the next reader waits for the disk."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def ours(cores: int, verify: str, dropped: bool, calls: int = 1) -> Start:
    if dropped:
        drop_from_page_cache([LIBRARY, BINARY, *MODEL.iterdir()])
    return start(MODEL, [EVENT] * calls, cores, {"EMBED_VERIFY": verify})


def rounds(count: int) -> dict[str, list[dict[str, float]]]:
    """`count` starts of everything, in turn."""
    programs: dict[str, Callable[[], dict[str, float]]] = {}

    def add(name: str, cores: int, verify: str, dropped: bool) -> None:
        def once() -> dict[str, float]:
            found = ours(cores, verify, dropped)
            return {"ready": found.ready, "first": found.answered[0], "peak": found.peak, **found.stages}

        programs[name] = once

    for cores in (2, 1):
        for verify in ("sizes", "always"):
            for dropped in (False, True):
                cache = "dropped" if dropped else "warm"
                add(f"lambda-embed, {cores} cores, {cache} cache, hashes {verify}", cores, verify, dropped)

    def add_peer(name: str, command: list[str]) -> None:
        def once() -> dict[str, float]:
            found = peers.run(command, [])
            return {"ready": found.first, "first": found.first, "peak": found.peak}

        programs[name] = once

    add_peer("fastembed-rs, 2 cores, warm cache", peers.fastembed_rs(1))
    add_peer("FastEmbed (Python), 2 cores, warm cache", peers.fastembed(1))
    for once in programs.values():
        once()
    found: dict[str, list[dict[str, float]]] = {name: [] for name in programs}
    for number in range(count):
        print(f"\rround {number + 1} of {count}", end="", file=sys.stderr, flush=True)
        for name, once in programs.items():
            found[name].append(once())
    print(file=sys.stderr)
    return found


def warm_calls() -> dict[str, float]:
    """The first call after init beside the hundredth, medians of five starts, in milliseconds."""
    starts = [ours(2, "sizes", False, CALLS) for _ in range(5)]
    return {
        "first call": median([found.calls[0] for found in starts]),
        "hundredth call": median([found.calls[-1] for found in starts]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.cold", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="starts of each, default: %(default)s")
    options = parser.parse_args()
    found = rounds(options.runs)
    rows = []
    for name, runs in found.items():
        row = {"program": name}
        row |= {f"{key}, ms": median([run[key] for run in runs]) for key in ("ready", "first")}
        row["spread of ready"] = "{:.0f}-{:.0f}".format(min(r["ready"] for r in runs), max(r["ready"] for r in runs))
        for stage in ("library", "verify", "tokenizer", "session"):
            row[stage] = median([run[stage] for run in runs]) if stage in runs[0] else ""
        row["peak, MB"] = median([run["peak"] for run in runs])
        rows.append(row)
    print(table(rows))
    calls = warm_calls()
    print(f"\nfirst call after init {calls['first call']:.1f} ms, hundredth {calls['hundredth call']:.1f} ms")
    write(Path("target/bench/cold.json"), {"model": SHAPE, "runs": options.runs, "rows": rows, "calls": calls})
    return 0


if __name__ == "__main__":
    sys.exit(main())
