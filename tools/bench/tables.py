"""Figures of the docs: `python3 -m tools.bench.tables` after the benches, `--check` in the tests.

    target/bench/engine.json, …  ->  docs/figures.json   what was measured; a bench that was not run keeps its figures
    docs/figures.json            ->  docs/charts/*.svg
                                 ->  <!-- make bench: mixed --> … <!-- end -->  in README.md and docs/

So a figure in such a block can be out of date, but not made up: `--check` renders every block and chart from
docs/figures.json, and names each that differs.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools import backfill
from tools.bench import chart, cost
from tools.bench.report import table

RESULTS = Path("target/bench")
FIGURES = Path("docs/figures.json")
# The benches by their make targets, and the file that each writes below target/bench.
BENCHES = {
    "bench": "engine.json",
    "bench-cold": "cold.json",
    "bench-ingest": "ingest.json",
    "bench-memory": "memory.json",
}
CORPORA = ("short", "mixed", "long")
OURS = "lambda-embed, our file"

Figures = Mapping[str, Any]
Block = Callable[[Figures], str]


def machine(bench: str) -> Block:
    return lambda figures: f"{figures[bench]['machine']}."


def corpus(name: str) -> Block:
    """The chart and the table of one corpus."""
    image = f"![documents per second on {name} texts, two threads](charts/throughput-{name}.svg)"
    return lambda figures: f"{image}\n\n{table(figures['bench']['tables'][name])}"


def bars(bench: str) -> Block:
    return lambda figures: "\n".join(f"- {' '.join(line.split())}" for line in figures[bench]["bars"])


def rows(bench: str, name: str = "rows") -> Block:
    return lambda figures: table(figures[bench][name])


def windows(figures: Figures) -> str:
    """bench-ingest's rows; ratios have two places, as it prints them."""
    ratios = ("of the embedder's own", "one a call")
    found = figures["bench-ingest"]["rows"]
    return table([{name: f"{value:.2f}" if name in ratios else value for name, value in row.items()} for row in found])


def dollars(figures: Figures) -> str:
    speed = figures["bench"]["speed"]
    return table(cost.rows(speed["one thread"], speed["two threads"]))


def calls(figures: Figures) -> str:
    took = figures["bench-cold"]["calls"]
    return f"The first call after init takes {took['first call']:.1f} ms, the hundredth {took['hundredth call']:.1f} ms."


def row(found: list[dict[str, Any]], program: str, **also: Any) -> dict[str, Any]:
    """The row of one program. Raises StopIteration where there is none."""
    return next(row for row in found if row["program"] == program and also.items() <= row.items())


def paragraph(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def lead(figures: Figures) -> str:
    """The README's first figures, beside the better of FastEmbed's two ways; `summary` has both, and the machine."""
    speed, fastembed = mixed(figures)
    ours_ms, fastembed_ms = starts(figures)
    return paragraph(
        f"On two cores it embeds **{speed:.0f} paragraphs a second**, {speed / max(fastembed.values()):.1f} times FastEmbed's "
        f"best. A start has its first vector after **{ours_ms:.0f} ms**, FastEmbed's after {fastembed_ms:.0f}. A million "
        f"paragraphs cost **{at_default_memory(figures)['$ for 1M paragraphs']} dollars** of Lambda ([how fast](#how-fast))."
    )


def summary(figures: Figures) -> str:
    """The README's figures in full."""
    speed, fastembed = mixed(figures)
    ours_ms, fastembed_ms = starts(figures)
    query = row(figures["bench"]["queries"], OURS, cores=2)["p50, ms"]
    return paragraph(
        f"Measured on {figures['bench']['machine']}: the function embeds {speed:.0f} paragraphs a second, FastEmbed "
        f"{fastembed['FastEmbed, default batch']:.0f} with its defaults and {fastembed['FastEmbed, batch 1']:.0f} one by "
        f"one. The function has its first vector {ours_ms:.0f} ms after its start, FastEmbed {fastembed_ms:.0f} ms. A query "
        f"takes {query:.1f} ms."
    )


def mixed(figures: Figures) -> tuple[float, dict[str, float]]:
    """Paragraphs a second: ours, and FastEmbed's with its default batch and with batches of one."""
    found = figures["bench"]["tables"]["mixed"]
    speed = {name: row(found, name)["documents/s"] for name in ("FastEmbed, default batch", "FastEmbed, batch 1")}
    return row(found, OURS)["documents/s"], speed


def starts(figures: Figures) -> tuple[float, float]:
    """Milliseconds from the process's start to its first vector: ours as the template starts it, and FastEmbed's."""
    found = figures["bench-cold"]["rows"]
    ours = row(found, "lambda-embed, 2 cores, warm cache, hashes sizes")
    return ours["first, ms"], row(found, "FastEmbed, 2 cores, warm cache")["first, ms"]


def at_default_memory(figures: Figures) -> dict[str, Any]:
    """bench-memory's row at the template's default."""
    return next(row for row in figures["bench-memory"]["rows"] if row["memory, MB"] == backfill.MEGABYTES_PER_CPU)


def price(figures: Figures) -> str:
    """A million queries and paragraphs at the template's default memory."""
    found = at_default_memory(figures)
    return paragraph(
        f"With the default memory on x86_64, a million queries one by one cost {found['$ for 1M queries']} dollars, a "
        f"million paragraphs of 45 tokens {found['$ for 1M paragraphs']}."
    )


# Every block by its document: the bench that its marker names, its name there, and what it shows.
BLOCKS: dict[Path, list[tuple[str, str, Block]]] = {
    Path("README.md"): [("bench", "lead", lead), ("bench", "summary", summary)],
    Path("docs/performance.md"): [
        ("bench", "machine", machine("bench")),
        *(("bench", name, corpus(name)) for name in CORPORA),
        ("bench", "queries", lambda figures: table(figures["bench"]["queries"])),
        ("bench", "bars", bars("bench")),
        ("bench", "dollars", dollars),
        ("bench-ingest", "machine", machine("bench-ingest")),
        ("bench-ingest", "rows", windows),
        ("bench-ingest", "bars", bars("bench-ingest")),
        ("bench-ingest", "stores", rows("bench-ingest", "stores")),
    ],
    Path("docs/cold-start.md"): [
        ("bench-cold", "machine", machine("bench-cold")),
        ("bench-cold", "rows", rows("bench-cold")),
        ("bench-cold", "calls", calls),
    ],
    Path("docs/operations.md"): [
        ("bench-memory", "machine", machine("bench-memory")),
        ("bench-memory", "rows", rows("bench-memory")),
    ],
    Path("docs/deploy.md"): [("bench-memory", "price", price)],
    Path("docs/backfill.md"): [
        ("bench-ingest", "batches", rows("bench-ingest", "batches")),
        ("bench-ingest", "backfill", lambda figures: backfill.computed(figures["bench-ingest"])),
    ],
}


def measured() -> dict[str, Any]:
    """The committed figures, with those of every bench that has run here in their place."""
    figures: dict[str, Any] = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for bench, file in BENCHES.items():
        if (RESULTS / file).exists():
            figures[bench] = json.loads((RESULTS / file).read_text())
        else:
            print(f"make {bench} was not run here: its figures stay as they are")
    return figures


def written(document: str, bench: str, name: str, content: str) -> str:
    """`document` with the block's inside replaced. Raises ValueError for a document without the block."""
    block = re.compile(rf"(<!-- make {bench}: {name} -->\n\n).*?(\n\n<!-- end -->)", re.DOTALL)
    replaced, count = block.subn(lambda found: found[1] + content + found[2], document)
    if count != 1:
        raise ValueError(f"{count} blocks of make {bench}: {name}")
    return replaced


def rendered(figures: Figures) -> dict[Path, str]:
    """Every document and chart as the figures make it."""
    files = {}
    for path, blocks in BLOCKS.items():
        document = path.read_text()
        for bench, name, block in blocks:
            document = written(document, bench, name, block(figures))
        files[path] = document
    for name in CORPORA:
        values = [
            (row["program"], row["documents/s"], "lambda-embed" in row["program"])
            for row in figures["bench"]["tables"][name]
        ]
        title = f"documents per second, {name} texts, two threads"
        files[Path(f"docs/charts/throughput-{name}.svg")] = chart.bars(title, "/s", values)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.tables", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a document or a chart differs")
    options = parser.parse_args()
    figures = json.loads(FIGURES.read_text()) if options.check else measured()
    files = rendered(figures)
    different = [path for path, content in files.items() if not path.exists() or path.read_text() != content]
    if options.check:
        for path in different:
            print(f"{path} does not show the figures of {FIGURES}: run `python3 -m tools.bench.tables`", file=sys.stderr)
        return 1 if different else 0
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    for path in different:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
