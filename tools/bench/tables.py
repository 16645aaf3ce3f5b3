"""Writes the results of the benchmarks into the docs: `python3 -m tools.bench.tables` after they ran.

    target/bench/engine.json  ->  <!-- make bench: mixed --> … <!-- end -->  in docs/performance.md

Each block is what the benchmark printed; `make bench` has to have run on every corpus. Blocks of a benchmark that was
not run stay as they are, and its name is printed.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tools.bench import cost
from tools.bench.report import table

RESULTS = Path("target/bench")
DOCS = Path("docs")

Found = Mapping[str, Any]
Block = Callable[[Found], str]


def corpus(name: str) -> Block:
    """The chart and the table of one corpus."""
    chart = f"![documents per second on {name} texts, two threads](charts/throughput-{name}.svg)"
    return lambda found: f"{chart}\n\n{table(found['tables'][name])}"


def bars(found: Found) -> str:
    return "\n".join(f"- {' '.join(line.split())}" for line in found["bars"])


def dollars(found: Found) -> str:
    return table(cost.rows(found["speed"]["one thread"], found["speed"]["two threads"]))


def calls(found: Found) -> str:
    took = found["calls"]
    return f"The first call after init takes {took['first call']:.1f} ms, the hundredth {took['hundredth call']:.1f} ms."


def windows(found: Found) -> str:
    """bench-ingest's rows; ratios have two places, as it prints them."""
    ratios = ("of the embedder's own", "one a call")
    shown = [{name: f"{value:.2f}" if name in ratios else value for name, value in row.items()} for row in found["rows"]]
    return table(shown)


def rows(found: Found) -> str:
    return table(found["rows"])


# For each benchmark its JSON, the document, and the content of each block.
BLOCKS: dict[str, tuple[str, str, dict[str, Block]]] = {
    "bench": (
        "engine.json",
        "performance.md",
        {
            **{name: corpus(name) for name in ("short", "mixed", "long")},
            "queries": lambda found: table(found["queries"]),
            "bars": bars,
            "dollars": dollars,
        },
    ),
    "bench-ingest": ("ingest.json", "performance.md", {"rows": windows, "bars": bars}),
    "bench-cold": ("cold.json", "cold-start.md", {"rows": rows, "calls": calls}),
    "bench-memory": ("memory.json", "operations.md", {"rows": rows}),
}


def written(document: str, target: str, name: str, content: str) -> str:
    """`document` with the block's inside replaced. Raises ValueError for a document without the block."""
    block = re.compile(rf"(<!-- make {target}: {name} -->\n\n).*?(\n\n<!-- end -->)", re.DOTALL)
    replaced, count = block.subn(lambda found: found[1] + content + found[2], document)
    if count != 1:
        raise ValueError(f"{count} blocks of make {target}: {name}")
    return replaced


def main() -> int:
    for target, (results, doc, blocks) in BLOCKS.items():
        if not (RESULTS / results).exists():
            print(f"make {target} was not run: its tables stay as they are")
            continue
        found = json.loads((RESULTS / results).read_text())
        document = (DOCS / doc).read_text()
        for name, block in ({"machine": lambda found: f"{found['machine']}."} | blocks).items():
            document = written(document, target, name, block(found))
        (DOCS / doc).write_text(document)
        print(f"{DOCS / doc}: make {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
