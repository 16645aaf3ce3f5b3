"""Measures a built model against its float32 graph: `python -m tools.verify models/<id> --fp32 FILE`.

Checks, each printed: every vector finite; the published vector of "hello world" (float32 graph); int8 against float32 over paragraphs of English, as cosine (mean, smallest) and as the
share of each paragraph's ten nearest neighbours that stay. Exit status 1 under a bar.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools import corpus, manifest, session, tokenizer
from tools.sources import SOURCES
from tools.weights import Array

GREETING = "hello world"
PUBLISHED_TOLERANCE = 1e-3  # FastEmbed's own
NEIGHBOURS = 10


@dataclass(frozen=True)
class Bars:
    """What int8 has to reach against float32, over `texts` paragraphs."""

    mean: float = 0.992
    least: float = 0.98
    texts: int = 200


@dataclass(frozen=True)
class Fidelity:
    """How close int8 vectors are to float32 ones; shares and cosines, 1 is the same."""

    mean: float
    least: float
    neighbours: float


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    passed: bool
    text: str


def compare(ours: Array, exact: Array) -> Fidelity:
    """Fidelity of unit vectors [texts, hidden] to others of the same texts."""
    cosines = np.sum(ours * exact, axis=1)
    kept = [len(set(a) & set(b)) for a, b in zip(_nearest(ours), _nearest(exact), strict=True)]
    return Fidelity(float(cosines.mean()), float(cosines.min()), float(np.mean(kept)) / NEIGHBOURS)


def _nearest(vectors: Array) -> Array:
    """Each vector's nearest others: indices [texts, NEIGHBOURS]."""
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    return np.argsort(-similar, axis=1, kind="stable")[:, :NEIGHBOURS]


def checks(folder: Path, fp32: Path, published: Sequence[float], bars: Bars) -> list[Check]:
    """Runs both graphs. `published` is the start of the greeting's float32 vector, or empty."""
    stated = manifest.read(folder)
    encode = tokenizer.load(folder / stated["files"]["tokenizer"]["path"], stated["max_tokens"])
    texts = [encode(text) for text in [GREETING, *corpus.evaluation(bars.texts)]]
    exact = session.embed(session.load(fp32), texts)
    ours = session.embed(session.load(folder / stated["files"]["model"]["path"]), texts)

    both = np.concatenate([exact, ours])
    report = [Check(bool(np.isfinite(both).all()), f"all {both.size} numbers finite")]
    if published:
        off = float(np.abs(exact[0, : len(published)] - published).max())
        text = f'float32 "{GREETING}" within {PUBLISHED_TOLERANCE:g} of the published vector: {off:.1e} off'
        report.append(Check(off <= PUBLISHED_TOLERANCE, text))
    report.append(Check(True, f'int8 "{GREETING}": cosine {ours[0] @ exact[0]:.5f} to float32'))
    found = compare(ours[1:], exact[1:])
    over = f"over {bars.texts} paragraphs"
    return report + [
        Check(found.mean >= bars.mean, f"mean cosine to float32 {over}: {found.mean:.5f}, bar {bars.mean}"),
        Check(found.least >= bars.least, f"smallest cosine to float32 {over}: {found.least:.5f}, bar {bars.least}"),
        Check(True, f"{NEIGHBOURS} nearest neighbours kept: {found.neighbours:.1%}"),
    ]


def report(found: Sequence[Check]) -> bool:
    """Prints the checks; whether all passed."""
    for check in found:
        print(f"  {'ok  ' if check.passed else 'FAIL'} {check.text}")
    return all(check.passed for check in found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.verify", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="models/<id>")
    parser.add_argument("--fp32", type=Path, required=True, help="what `tools.build --keep-fp32` wrote")
    parser.add_argument("--mean", type=float, default=Bars.mean, help="bar, default: %(default)s")
    parser.add_argument("--least", type=float, default=Bars.least, help="bar, default: %(default)s")
    parser.add_argument("--texts", type=int, default=Bars.texts, help="paragraphs, default: %(default)s")
    options = parser.parse_args()

    source = SOURCES.get(manifest.read(options.folder)["id"])
    bars = Bars(options.mean, options.least, options.texts)
    print(f"{options.folder} against {options.fp32}")
    passed = report(checks(options.folder, options.fp32, source.hello_world if source else (), bars))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
