"""Starts from the package and from S3 on loopback, by turns: `python -m tools.bench.s3_start models/<id>`.

`folder` is laid out as Lambda unpacks a package (bootstrap, lib/, model/). Prints the median milliseconds
until ready, the difference, and the stages of the median start. Three kinds: bundled, from S3 with an
empty cache, from S3 with the cache an earlier start left.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.bench.start import Start, start


def package(model: Path, binary: Path, library: Path, folder: Path) -> None:
    """A package's folder, of links: what is measured is never copied."""
    (folder / "lib").mkdir(parents=True)
    (folder / "bootstrap").symlink_to(binary.resolve())
    (folder / "lib" / "libonnxruntime.so").symlink_to(library.resolve())
    (folder / "model").symlink_to(model.resolve())


def median(starts: list[Start]) -> Start:
    """The start in the middle, by time until ready."""
    return sorted(starts, key=lambda start: start.ready)[len(starts) // 2]


def measure(model: Path, binary: Path, library: Path, cores: int, rounds: int) -> dict[str, list[Start]]:
    """`rounds` starts of each kind, by turns, so that a busy moment falls on all of them."""
    server = subprocess.Popen(
        [sys.executable, "-m", "tools.bench.s3_server", str(model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "package", Path(place) / "cache"
        package(model, binary, library, folder)
        # Resolved here, since the binary behind a link finds its own folder, not the package's.
        bundled = {"EMBED_MODEL_DIR": str(model.resolve()), "EMBED_ORT_LIB": str(library.resolve())}
        fetched = {
            "EMBED_ORT_LIB": str(library.resolve()),
            "EMBED_MODEL_S3": "s3://bench/model",
            "EMBED_CACHE_DIR": str(cache),
            "AWS_ENDPOINT_URL_S3": "http://" + server.stdout.readline().strip(),
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
        starts: dict[str, list[Start]] = {"bundled": [], "from S3": [], "from S3, cache kept": []}
        try:
            for _ in range(rounds):
                shutil.rmtree(cache, ignore_errors=True)
                for kind, variables in zip(starts, (bundled, fetched, fetched), strict=True):
                    starts[kind].append(start(folder, variables, cores))
        finally:
            server.stdin.close()
            server.wait(10)
    return starts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.s3_start", description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--binary", type=Path, default=Path("target/release/bootstrap"))
    parser.add_argument("--library", type=Path, required=True, help="libonnxruntime.so")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    starts = measure(options.model, options.binary, options.library, options.cores, options.rounds)
    base = statistics.median(start.ready for start in starts["bundled"])
    print(f"{options.model.name}, {options.cores} cores, median of {options.rounds}")
    for kind, measured in starts.items():
        middle = median(measured)
        peak = max(start.peak for start in measured)
        print(f"{kind:<20} ready {middle.ready:6.0f} ms  {middle.ready - base:+6.0f} ms  peak {peak:4.0f} MB")
        print(f"{'':<20} {middle.stages[middle.stages.find('ready in'):].split(chr(34))[0]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
