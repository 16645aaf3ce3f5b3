"""Cold start: `make bench-cold` prints the table and writes target/bench/cold.json.

Process start to the first request for an event, and to the first answer: bundled, on one core and on two,
with the files in the page cache and dropped from it, hashes checked or trusted; from S3 on loopback, with an
empty cache and with a kept one; beside the peers. Every round starts each program once, so a slow minute of the
machine affects all of them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.bench import peers
from tools.bench.folders import OWN
from tools.bench.peers import LIBRARY
from tools.bench.report import machine, median, table, write
from tools.bench.start import BINARY, Start, event, start

EVENT = event([peers.FIRST])
CALLS = 100
# Between calls, in seconds. Without a pause the CPU itself gets faster during the first hundred calls, which has
# nothing to do with the function; on Lambda calls come one by one.
PAUSE = 0.03


def drop_from_page_cache(paths: list[Path]) -> None:
    """Asks the kernel to forget the files' pages, so that the next reader waits for the disk."""
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def ours(cores: int, verify: str, dropped: bool) -> Start:
    if dropped:
        drop_from_page_cache([LIBRARY, BINARY, *OWN.iterdir()])
    return start(OWN, [EVENT], cores, {"EMBED_VERIFY": verify})


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """A server of the model on loopback, and the variables that point the function at it."""
    command = [sys.executable, "-m", "tools.bench.s3_server", str(OWN)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory(prefix="lambda-embed-cache-") as cache,
    ):
        yield {
            "EMBED_MODEL_S3": "s3://bench/model",
            "EMBED_CACHE_DIR": cache,
            "AWS_ENDPOINT_URL_S3": "http://" + server.stdout.readline().strip(),
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        server.stdin.close()


def figures(found: Start) -> dict[str, float]:
    """What a row is made of."""
    return {"ready": found.ready, "first": found.answered[0], "peak": found.peak, **found.stages}


def rounds(count: int, s3: dict[str, str]) -> dict[str, list[dict[str, float]]]:
    """`count` starts of everything, in turn."""
    programs: dict[str, Callable[[], dict[str, float]]] = {}

    def add(name: str, cores: int, verify: str, dropped: bool) -> None:
        def once() -> dict[str, float]:
            return figures(ours(cores, verify, dropped))

        programs[name] = once

    for cores in (2, 1):
        for verify in ("sizes", "always"):
            for dropped in (False, True):
                cache = "dropped" if dropped else "warm"
                add(f"lambda-embed, {cores} cores, {cache} cache, hashes {verify}", cores, verify, dropped)

    def add_s3(cores: int, kept: bool) -> None:
        def once() -> dict[str, float]:
            if not kept:
                shutil.rmtree(s3["EMBED_CACHE_DIR"], ignore_errors=True)
            return figures(start(None, [EVENT], cores, s3))

        programs[f"lambda-embed, {cores} cores, from S3, {'kept' if kept else 'empty'} /tmp"] = once

    for cores in (2, 1):
        add_s3(cores, False)
        add_s3(cores, True)

    def add_peer(peer: peers.Peer) -> None:
        def once() -> dict[str, float]:
            found = peers.run(peer, [])
            return {"ready": found.first, "first": found.first, "peak": found.peak}

        programs[f"{peer.name.removesuffix(', batch 1')}, 2 cores, warm cache"] = once

    # One entry for a program with two batch sizes, because a start has no batch.
    for peer in peers.chosen():
        if "default batch" not in peer.name:
            add_peer(peer)
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
    """The first call after init beside the hundredth, medians of nine starts, in milliseconds."""
    starts = [start(OWN, [EVENT] * CALLS, 2, {"EMBED_VERIFY": "sizes"}, PAUSE) for _ in range(9)]
    return {
        "first call": median([found.calls[0] for found in starts]),
        "hundredth call": median([found.calls[-1] for found in starts]),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.cold", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="starts of each, default: %(default)s")
    options = parser.parse_args()
    with s3_server() as s3:
        found = rounds(options.runs, s3)
    rows = []
    for name, runs in found.items():
        row = {"program": name}
        row |= {f"{key}, ms": median([run[key] for run in runs]) for key in ("ready", "first")}
        row["spread of ready"] = "{:.0f}-{:.0f}".format(min(r["ready"] for r in runs), max(r["ready"] for r in runs))
        for stage in ("fetch", "library", "verify", "tokenizer", "session", "warm_up"):
            row[stage] = median([run[stage] for run in runs]) if stage in runs[0] else ""
        row["peak, MB"] = median([run["peak"] for run in runs])
        rows.append(row)
    print(f"{machine()}\n\n{table(rows)}")
    if without := peers.left_out():
        print(f"left out: {', '.join(without)}")
    calls = warm_calls()
    print(f"\nfirst call after init {calls['first call']:.1f} ms, hundredth {calls['hundredth call']:.1f} ms")
    write(Path("target/bench/cold.json"), {"runs": options.runs, "rows": rows, "calls": calls})
    return 0


if __name__ == "__main__":
    sys.exit(main())
