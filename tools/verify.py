"""Measures a model folder against a float32 graph of its weights: `python -m tools.verify models/<id> --fp32 FILE`.

It prints these checks: every vector is finite; the float32 graph gives the published vector of "hello world"; int8
against float32 over paragraphs of English, as cosine (mean, smallest) and as the share of each paragraph's ten nearest
neighbours that are kept; the same over short sentences, without a bar. Exit status 1 under a bar.
The folder may hold a stock export, such as the one that `tools.retrieval` makes of the stock int8 file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools import corpus, manifest, session, tokenizer
from tools.sources import SOURCES
from tools.weights import Array

GREETING = "hello world"
PUBLISHED_TOLERANCE = 1e-3  # FastEmbed's own
NEIGHBOURS = 10
SENTENCES = 250


@dataclass(frozen=True)
class Bars:
    """The bars for int8 against float32, over `texts` paragraphs."""

    mean: float = 0.9985
    least: float = 0.996
    neighbours: float = 0.95
    texts: int = 400


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
    """Runs both graphs. `published` is the start of the float32 vector of "hello world", or empty."""
    stated = manifest.read(folder)
    texts = [GREETING, *corpus.sentences(SENTENCES), *corpus.paragraphs(bars.texts)]
    exact, ours = (embed(texts) for embed in _embedders(folder, fp32))

    both = np.concatenate([exact, ours])
    report = [Check(bool(np.isfinite(both).all()), f"all {both.size} numbers finite")]
    if published:
        off = float(np.abs(exact[0, : len(published)] - published).max())
        text = f'float32 "{GREETING}" within {PUBLISHED_TOLERANCE:g} of the published vector: {off:.1e} off'
        report.append(Check(off <= PUBLISHED_TOLERANCE, text))
    report.append(Check(True, f'int8 "{GREETING}": cosine {ours[0] @ exact[0]:.5f} to float32'))
    start = 1 + SENTENCES
    short, found = compare(ours[1:start], exact[1:start]), compare(ours[start:], exact[start:])
    text = f"over {SENTENCES} short sentences: mean cosine {short.mean:.5f}, smallest {short.least:.5f}"
    report.append(Check(True, f"{text}, neighbours kept {short.neighbours:.1%}"))
    over = f"over {bars.texts} paragraphs"
    return report + [
        Check(found.mean >= bars.mean, f"mean cosine to float32 {over}: {found.mean:.5f}, bar {bars.mean}"),
        Check(found.least >= bars.least, f"smallest cosine to float32 {over}: {found.least:.5f}, bar {bars.least}"),
        Check(
            found.neighbours >= bars.neighbours,
            f"{NEIGHBOURS} nearest neighbours kept {over}: {found.neighbours:.1%}, bar {bars.neighbours:.0%}",
        ),
    ]


def _embedders(folder: Path, fp32: Path) -> list[Callable[[Sequence[str]], Array]]:
    """Functions from texts to unit vectors: the float32 graph's, then the model's own."""
    stated = manifest.read(folder)
    encode = tokenizer.load(folder / stated["files"]["tokenizer"]["path"], stated["max_tokens"])

    def embedder(graph: Path) -> Callable[[Sequence[str]], Array]:
        runner = session.load(graph)
        return lambda texts: session.embed(runner, map(encode, texts), stated["pooling"])

    return [embedder(fp32), embedder(folder / stated["files"]["model"]["path"])]


def report(found: Sequence[Check]) -> bool:
    """Prints the checks; returns whether all passed."""
    for check in found:
        print(f"  {'ok  ' if check.passed else 'FAIL'} {check.text}")
    return all(check.passed for check in found)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.verify", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="models/<id>")
    parser.add_argument("--fp32", type=Path, required=True, help="what `tools.build --keep-fp32` wrote")
    parser.add_argument("--mean", type=float, default=Bars.mean, help="bar, default: %(default)s")
    parser.add_argument("--least", type=float, default=Bars.least, help="bar, default: %(default)s")
    parser.add_argument("--neighbours", type=float, default=Bars.neighbours, help="bar, default: %(default)s")
    parser.add_argument("--texts", type=int, default=Bars.texts, help="paragraphs, default: %(default)s")
    options = parser.parse_args()

    source = SOURCES.get(manifest.read(options.folder)["id"])
    bars = Bars(options.mean, options.least, options.neighbours, options.texts)
    print(f"{options.folder} against {options.fp32}")
    found = checks(options.folder, options.fp32, source.hello_world if source else (), bars)
    return 0 if report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
