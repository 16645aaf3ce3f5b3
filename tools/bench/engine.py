"""Throughput: `make bench` prints the tables and writes target/bench/engine.json.

    corpora   short queries, mixed paragraphs, texts of 512 tokens
    programs  FastEmbed and fastembed-rs at their default batch and at their best, a bare loop of sessions,
              and the function, all on the same stock int8 file; then the function on its own model
    rounds    every program once a round, so that a slow minute of the machine is everybody's

The function is measured through the Runtime API, JSON in and JSON out; the peers are not charged for
theirs. A bar that is missed is printed as missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tools.bench import chart, corpora, cost, peers
from tools.bench.report import median, table, write
from tools.bench.start import event, start
from tools.bench.stock import FOLDER as STOCK
from tools.bench.stock import SHAPE

CORPORA = {"short": corpora.short(256), "mixed": corpora.mixed(512), "long": corpora.long(24)}
# Texts in one request; the answer to more would pass Lambda's 6 MB.
REQUEST = 1024
WARM_UP = 32
QUERIES = 200
OWN = Path("models") / SHAPE

# Seconds for one corpus, and megabytes at the peak.
Measured = tuple[float, float]


def function(model: Path) -> Callable[[Sequence[str]], Measured]:
    """The function over `model`, a whole corpus in one request."""

    def measure(texts: Sequence[str]) -> Measured:
        requests = [texts[first : first + REQUEST] for first in range(0, len(texts), REQUEST)]
        found = start(model, [event(texts[:WARM_UP]), *map(event, requests)])
        return sum(found.calls[1:]) / 1e3, found.peak

    return measure


def peer(command: list[str]) -> Callable[[Sequence[str]], Measured]:
    """Another program, handed the corpus as one list."""

    def measure(texts: Sequence[str]) -> Measured:
        found = peers.run(command, [texts[:WARM_UP], texts])
        return found.seconds[1], found.peak

    return measure


PROGRAMS = {
    "FastEmbed, default batch": peer(peers.fastembed(256)),
    "FastEmbed, batch 1": peer(peers.fastembed(1)),
    "fastembed-rs, default batch": peer(peers.fastembed_rs(256)),
    "fastembed-rs, batch 1": peer(peers.fastembed_rs(1)),
    "bare loop": peer(peers.bare()),
    "lambda-embed, stock file": function(STOCK),
    "lambda-embed, own model": function(OWN),
}


def throughput(rounds: int, chosen: Sequence[str]) -> dict[str, dict[str, list[Measured]]]:
    """`rounds` measurements of every program on every chosen corpus."""
    found = {name: {program: [] for program in PROGRAMS} for name in chosen}
    for number in range(rounds):
        for name in chosen:
            for program, measure in PROGRAMS.items():
                print(f"\rround {number + 1} of {rounds}: {name}, {program}\x1b[K", end="", file=sys.stderr, flush=True)
                found[name][program].append(measure(CORPORA[name]))
    print(file=sys.stderr)
    return found


def latency() -> list[dict[str, object]]:
    """A single query's median and 99th percentile through the function, on two threads and on one."""
    queries = [event([text]) for text in corpora.short(QUERIES + 20)]
    rows = []
    for cores in (2, 1):
        calls = sorted(start(OWN, queries, cores).calls[20:])
        rows.append({"cores": cores, "p50, ms": median(calls), "p99, ms": calls[int(len(calls) * 0.99)]})
    return rows


def rows_of(found: dict[str, list[Measured]], texts: Sequence[str]) -> list[dict[str, object]]:
    """One line a program: documents and tokens a second, spread, peak, and the share of the bare loop."""
    tokens = sum(len(text.split()) + 2 for text in texts)
    bare = median([seconds for seconds, _ in found["bare loop"]])
    rows = []
    for program, measured in found.items():
        seconds = median([seconds for seconds, _ in measured])
        slowest, fastest = (len(texts) / pick(s for s, _ in measured) for pick in (max, min))
        rows.append(
            {
                "program": program,
                "documents/s": len(texts) / seconds,
                "spread": f"{slowest:.0f}-{fastest:.0f}",
                "tokens/s": round(tokens / seconds),
                "peak, MB": round(median([peak for _, peak in measured])),
                "of the bare loop": f"{bare / seconds:.2f}",
            }
        )
    return rows


def bars(mixed: dict[str, list[Measured]]) -> list[str]:
    """What is promised on the mixed corpus, each with what was found: pairs of one round are compared."""

    def ratio(ours: str, theirs: str) -> float:
        pairs = zip(mixed[ours], mixed[theirs], strict=True)
        return median([other / own for (own, _), (other, _) in pairs])

    stock, own = "lambda-embed, stock file", "lambda-embed, own model"
    memory = median([p for _, p in mixed[stock]]) / median([p for _, p in mixed["FastEmbed, default batch"]])
    found = [
        ("FastEmbed's default", ratio(stock, "FastEmbed, default batch"), 8.0),
        ("FastEmbed's best", ratio(stock, "FastEmbed, batch 1"), 1.2),
        ("the bare loop, same file", ratio(stock, "bare loop"), 0.97),
        ("the bare loop, our model against the stock file", ratio(own, "bare loop"), 1.15),
    ]
    lines = [f"{'met   ' if got >= bar else 'MISSED'} {got:.2f} of {name}, bar {bar}" for name, got, bar in found]
    return [*lines, f"{'met   ' if memory <= 0.05 else 'MISSED'} {memory:.3f} of FastEmbed's default's memory, bar 0.05"]


def speed() -> dict[str, float]:
    """Tokens a second of the own model on the mixed corpus, on one thread and on two; medians of five."""
    texts = CORPORA["mixed"]
    tokens = sum(len(text.split()) + 2 for text in texts)
    found = {}
    for cores, name in ((1, "one thread"), (2, "two threads")):
        seconds = [sum(start(OWN, [event(texts[:WARM_UP]), event(texts)], cores).calls[1:]) / 1e3 for _ in range(5)]
        found[name] = tokens / median(seconds)
    return found


def charts(tables: dict[str, list[dict[str, object]]]) -> None:
    """Documents a second as bars, one chart a corpus, for the README and docs/performance.md."""
    for name, rows in tables.items():
        values = [(str(r["program"]), float(str(r["documents/s"])), "lambda-embed" in str(r["program"])) for r in rows]
        title = f"documents per second, {name} texts, two threads"
        chart.bars(Path(f"docs/charts/throughput-{name}.svg"), title, "/s", values)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.engine", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--corpus", choices=sorted(CORPORA), action="append", help="default: all")
    options = parser.parse_args()
    chosen = options.corpus or list(CORPORA)
    found = throughput(options.rounds, chosen)
    tables = {name: rows_of(found[name], CORPORA[name]) for name in chosen}
    for name, rows in tables.items():
        print(f"\n{name}: {len(CORPORA[name])} texts, two threads\n\n{table(rows)}")
    queries = latency()
    print(f"\nsingle queries of 8 to 24 tokens\n\n{table(queries)}")
    found_speed = speed()
    print("\ndollars for a million tokens\n\n" + table(cost.rows(found_speed["one thread"], found_speed["two threads"])))
    promised = bars(found["mixed"]) if "mixed" in chosen else []
    print("\n" + "\n".join(promised))
    charts(tables)
    content = {"tables": tables, "queries": queries, "speed": found_speed, "bars": promised}
    write(Path("target/bench/engine.json"), content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
