"""What a million tokens cost on Lambda, from measured tokens a second: `python -m tools.bench.cost`.

    GB-seconds = memory in GB x seconds          (requests at 0.20 dollars a million are not counted)
    dollars    = GB-seconds x the price of one

Below one virtual CPU a function gets a share of one: a second costs less, and the work takes longer in proportion. So
the price of a token is the same up to the memory that pays for every thread in use.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tools.bench.report import table
from tools.bench.start import MEGABYTES_PER_CPU

# Dollars for a GB-second, us-east-1, first tier, from AWS's "AWS Lambda Pricing"; noted 2026-11-22.
PRICE = {"x86_64": 0.0000166667, "arm64": 0.0000133334}
# Dollars for a million tokens of common embedding APIs, from their price lists on 2026-11-22. Look them up again before
# you quote them.
PAID = {"OpenAI text-embedding-3-small": 0.02, "OpenAI text-embedding-3-large": 0.13, "Cohere embed v3": 0.10}
MEGABYTES = (512, 1769, 3538)


def dollars_per_million_tokens(megabytes: int, tokens_per_second: float, price: float) -> float:
    """At `tokens_per_second` on whole virtual CPUs, of which `megabytes` buys a share or several."""
    share = min(megabytes / MEGABYTES_PER_CPU, 1.0)
    seconds = 1e6 / (tokens_per_second * share)
    return seconds * megabytes / 1024 * price


def rows(one_thread: float, two_threads: float) -> list[dict[str, object]]:
    """Tokens a second on one and on two threads, as dollars by memory size and architecture."""
    found = []
    for megabytes in MEGABYTES:
        speed = two_threads if megabytes >= 2 * MEGABYTES_PER_CPU else one_thread
        row: dict[str, object] = {"memory, MB": megabytes}
        for architecture, price in PRICE.items():
            note = "" if architecture == "x86_64" else " (if as fast)"
            row[f"{architecture}{note}"] = f"${dollars_per_million_tokens(megabytes, speed, price):.3f}"
        found.append(row)
    return found


def main() -> int:
    measured = json.loads(Path("target/bench/engine.json").read_text())["speed"]
    print(table(rows(measured["one thread"], measured["two threads"])))
    print("\n" + table([{"API": name, "dollars a million tokens": f"${price:.2f}"} for name, price in PAID.items()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
