"""Memory: `make bench-resident` prints the function's memory for small queries and over 20,000 calls.

Single queries run within a limit of 128 MB, Lambda's smallest size, if a control group can be made (as root, with
Linux's memory controller). Then come calls of mixed length, during which memory must not grow. Writes
target/bench/resident.json.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.bench import corpora
from tools.bench.folders import OWN
from tools.bench.report import machine, table, write
from tools.bench.start import event, start

SMALL = 128 * 1024 * 1024
SETTLED = 500  # calls after which nothing new should be needed
CONTROLLER = Path("/sys/fs/cgroup/memory")


@contextmanager
def limited(limit: int) -> Iterator[list[str] | None]:
    """A command that runs another within `limit` bytes; None if no control group can be made."""
    group = CONTROLLER / f"lambda-embed-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(limit))
    except OSError as error:
        print(f"no limit of {limit >> 20} MB: {error}", file=sys.stderr)
        yield None
        return
    try:
        yield ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
    finally:
        group.rmdir()


def resident(pid: int, field: str) -> float:
    """`VmRSS`, the resident memory now, or `VmHWM`, its peak, in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1024


def queries(within: list[str] | None, count: int = 200) -> dict[str, object]:
    """Short queries one by one on one thread."""
    events = [event([text]) for text in corpora.short(count)]
    found = start(OWN, events, 1, {"EMBED_VERIFY": "sizes"}, within=within or ())
    return {"what": "short queries" + (", limit 128 MB" if within else ""), "calls": count, "peak, MB": found.peak}


def many(count: int) -> dict[str, object]:
    """Calls of mixed length; every hundredth carries 32 texts."""
    texts = corpora.mixed(count)
    events = [event(texts[place : place + (32 if place % 100 == 0 else 1)]) for place in range(count)]
    seen: dict[str, float] = {}

    def watch(pid: int, answers: int) -> None:
        if answers == SETTLED:
            seen["peak after 500, MB"] = resident(pid, "VmHWM")
        if answers == count:
            seen["at the end, MB"] = resident(pid, "VmRSS")

    found = start(OWN, events, 2, {"EMBED_VERIFY": "sizes"}, watch=watch)
    return {"what": "mixed lengths", "calls": count, **seen, "peak, MB": found.peak}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.resident", description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=20_000, help="of mixed length, default: %(default)s")
    options = parser.parse_args()
    rows = [queries(None)]
    with limited(SMALL) as within:
        if within:
            rows.append(queries(within))
    print(f"{machine()}\n\n{table(rows)}")
    grown = many(options.calls)
    print(table([grown]))
    write(Path("target/bench/resident.json"), {"rows": rows, "mixed": grown})
    return 0 if grown["at the end, MB"] <= 1.1 * grown["peak after 500, MB"] else 1


if __name__ == "__main__":
    sys.exit(main())
