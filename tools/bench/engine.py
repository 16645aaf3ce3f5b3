"""Throughput: `make bench` prints the tables and writes target/bench/engine.json.

    corpora   short queries, mixed paragraphs, texts of 512 tokens
    programs  the peers of `peers.py`; two bare sessions and the function, each on the stock int8 file that hubs serve
              and on our own
      rounds    every program once a round, so that a slow minute of the machine affects all of them; more
              rounds while a figure is unsteady, and what stays unsteady is named

The function is measured through the Runtime API, JSON in and JSON out; the peers are not charged for
theirs. A bar that is missed is printed as missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles

from tools.bench import corpora, cost, peers
from tools.bench.folders import OWN, STOCK
from tools.bench.report import machine, median, table, write
from tools.bench.start import event, start

CORPORA = {"short": corpora.short(256), "mixed": corpora.mixed(512), "long": corpora.long(24)}
# Texts in one request; the answer to more would pass Lambda's 6 MB.
REQUEST = 1024
WARM_UP = 32
# A figure is steady when the middle half of its rounds lies within this share of their median.
STEADY = 0.10
# Rounds at most, as a multiple of those asked for.
PATIENCE = 3
QUERIES = 200
OURS, OURS_STOCK = "lambda-embed, our file", "lambda-embed, stock file"

# Seconds for one corpus, and megabytes at the peak.
Measured = tuple[float, float]


def function(model: Path) -> Callable[[Sequence[str]], Measured]:
    """The function over `model`, a whole corpus in one request."""

    def measure(texts: Sequence[str]) -> Measured:
        requests = [texts[first : first + REQUEST] for first in range(0, len(texts), REQUEST)]
        found = start(model, [event(texts[:WARM_UP]), *map(event, requests)])
        return sum(found.calls[1:]) / 1e3, found.peak

    return measure


def peer(chosen: peers.Peer) -> Callable[[Sequence[str]], Measured]:
    """Another program, which gets the corpus as one list."""

    def measure(texts: Sequence[str]) -> Measured:
        found = peers.run(chosen, [texts[:WARM_UP], texts])
        return found.seconds[1], found.peak

    return measure


def programs() -> dict[str, Callable[[Sequence[str]], Measured]]:
    """Every program by its name in the tables, ours last."""
    others = [*peers.chosen(), peers.BARE_STOCK, peers.BARE_OWN]
    return {each.name: peer(each) for each in others} | {OURS_STOCK: function(STOCK), OURS: function(OWN)}


def throughput(rounds: int, chosen: Sequence[str]) -> dict[str, dict[str, list[Measured]]]:
    """`rounds` measurements of every program on every chosen corpus, and more while figures are unsteady."""
    all_programs = programs()
    found: dict[str, dict[str, list[Measured]]] = {name: {program: [] for program in all_programs} for name in chosen}
    number = 0
    while number < rounds or (number < PATIENCE * rounds and unsteady(found)):
        number += 1
        for name in chosen:
            for program, measure in all_programs.items():
                print(f"\rround {number}, {rounds} at least: {name}, {program}\x1b[K", end="", file=sys.stderr, flush=True)
                found[name][program].append(measure(CORPORA[name]))
    print(file=sys.stderr)
    return found


def unsteady(found: dict[str, dict[str, list[Measured]]]) -> list[str]:
    """The figures whose rounds differ by more than `STEADY`, by name and by how much."""
    lines = []
    for name, programs in found.items():
        for program, measured in programs.items():
            seconds = [seconds for seconds, _ in measured]
            first, _, third = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else (0.0, 0.0, 0.0)
            spread = (third - first) / median(seconds)
            if spread > STEADY:
                lines.append(f"{program} on {name} texts: {spread:.0%} after {len(seconds)} rounds")
    return lines


def latency() -> list[dict[str, object]]:
    """A single query's median and 99th percentile: the peers on two cores, the function on two and on one."""
    texts = corpora.short(QUERIES + 20)
    rows = []

    def row(program: str, cores: int, calls: Sequence[float]) -> None:
        ordered = sorted(calls[20:])
        place = int(len(ordered) * 0.99)
        rows.append({"program": program, "cores": cores, "p50, ms": median(ordered), "p99, ms": ordered[place]})

    for each in peers.chosen():
        if "default batch" not in each.name:  # a batch of one in any case
            found = peers.run(each, [[text] for text in texts])
            row(each.name.removesuffix(", batch 1"), 2, [seconds * 1e3 for seconds in found.seconds])
    for cores in (2, 1):
        row(OURS, cores, start(OWN, [event([text]) for text in texts], cores).calls)
    return rows


def rows_of(found: dict[str, list[Measured]], texts: Sequence[str]) -> list[dict[str, object]]:
    """One line for each program: documents and tokens a second, spread, peak, and our model's speed against it."""
    tokens = sum(len(text.split()) + 2 for text in texts)
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
                "our file against it": f"{ratio(found, OURS, program):.2f}",
            }
        )
    return rows


def ratio(found: dict[str, list[Measured]], ours: str, theirs: str) -> float:
    """How many times as fast `ours` is, the median over rounds; pairs of one round are compared."""
    pairs = zip(found[ours], found[theirs], strict=True)
    return median([other / own for (own, _), (other, _) in pairs])


def bars(mixed: dict[str, list[Measured]]) -> list[str]:
    """The bars for the mixed corpus, each with the measured ratio."""
    wanted = [
        (OURS_STOCK, peers.BARE_STOCK.name, 1.0),
        (OURS, peers.BARE_OWN.name, 1.0),
    ]
    for each in peers.chosen():
        bar = {"FastEmbed, default batch": 8.0, "FastEmbed, batch 1": 1.5}.get(each.name, 2.0)
        wanted.append((OURS, each.name, 6.0 if each.name.startswith("sentence-transformers") else bar))
    lines = []
    for ours, theirs, bar in wanted:
        got = ratio(mixed, ours, theirs)
        lines.append(f"{'met   ' if got >= bar else 'MISSED'} {got:.2f} of {theirs}, by {ours}; bar {bar}")
    for ours in (OURS_STOCK, OURS):
        share = median([p for _, p in mixed[ours]]) / median([p for _, p in mixed["FastEmbed, default batch"]])
        met = "met   " if share <= 0.05 else "MISSED"
        lines.append(f"{met} {share:.3f} of FastEmbed's default's memory, by {ours}; bar 0.05")
    return lines


def speed() -> dict[str, float]:
    """Tokens a second of our model on the mixed corpus, on one thread and on two; medians of five."""
    texts = CORPORA["mixed"]
    tokens = sum(len(text.split()) + 2 for text in texts)
    found = {}
    for cores, name in ((1, "one thread"), (2, "two threads")):
        seconds = [sum(start(OWN, [event(texts[:WARM_UP]), event(texts)], cores).calls[1:]) / 1e3 for _ in range(5)]
        found[name] = tokens / median(seconds)
    return found


def report(
    found: dict[str, dict[str, list[Measured]]], queries: list[dict[str, object]], tokens: dict[str, float]
) -> None:
    """Prints the tables and the bars, and writes JSON."""
    tables = {name: rows_of(measured, CORPORA[name]) for name, measured in found.items()}
    print(machine())
    for name, rows in tables.items():
        print(f"\n{name}: {len(CORPORA[name])} texts, two threads\n\n{table(rows)}")
    print(f"\nsingle queries of 8 to 24 tokens\n\n{table(queries)}")
    print("\ndollars for a million tokens\n\n" + table(cost.rows(tokens["one thread"], tokens["two threads"])))
    promised = bars(found["mixed"]) if "mixed" in found else []
    print("\n" + "\n".join(promised))
    if shaky := unsteady(found):
        print("\n" + "\n".join(["unsteady, the middle half of the rounds over their median:", *shaky]))
    if without := peers.left_out():
        print(f"\nleft out: {', '.join(without)}")
    content = {"tables": tables, "queries": queries, "speed": tokens, "bars": promised, "unsteady": unsteady(found)}
    write(Path("target/bench/engine.json"), content)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.engine", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="at least; default: %(default)s")
    parser.add_argument("--corpus", choices=sorted(CORPORA), action="append", help="default: all")
    options = parser.parse_args()
    report(throughput(options.rounds, options.corpus or list(CORPORA)), latency(), speed())
    return 0


if __name__ == "__main__":
    sys.exit(main())
