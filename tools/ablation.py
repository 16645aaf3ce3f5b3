"""What each step of the quantization recipe gives: `make ablation` prints docs/quantization.md's two tables.

The first leaves out or changes one step at a time and compares int8 with float32, as `tools.verify` does. The second
emulates an x86 CPU without VNNI, which adds every two products in 16 bits, over a few short paragraphs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from unittest.mock import patch

import numpy as np

from tools import calibration, corpus, graph, quantize, reference, rounding, session, tokenizer, verify, weights
from tools.fetch import CACHE, fetch
from tools.manifest import TOKENIZER
from tools.migrate import calibrate, migrate
from tools.quantize import PARTS, STRENGTHS, Int8, Recipe
from tools.sources import SOURCES
from tools.split import split
from tools.weights import Array, Bert, Linear

EMULATED = 8  # texts
SIXTEEN_BITS = 2**15


class Partly(Int8):
    """Some products in 8 bits, by their part's name ("words" is the word table), and the rest in float32."""

    def __init__(self, recipe: Recipe, parts: Collection[str]) -> None:
        super().__init__(recipe)
        self.parts, self.exact = parts, graph.Float32()

    def rows(self, into: graph.Graph, words: Array, ids: str) -> str:
        return (super() if "words" in self.parts else self.exact).rows(into, words, ids)

    def product(self, into: graph.Graph, x: str, linear: Linear, name: str) -> str:
        return (super() if name.split(".")[-1] in self.parts else self.exact).product(into, x, linear, name)


@contextmanager
def largest_code(codes: int, limited: bool) -> Iterator[None]:
    """Rounds weights to codes from -`codes` to `codes`; if `limited`, so that no pair of them saturates."""
    own = rounding.limited if limited else lambda found: np.clip(found, -codes, codes)
    with patch.object(rounding, "LARGEST", codes), patch.object(rounding, "limited", own):
        yield


def prepared(bert: Bert, texts: Sequence[Sequence[int]], recipe: Recipe, corrected: bool = True) -> Bert:
    """The encoder after the recipe's exact steps and, if `corrected`, with biases corrected."""
    ranges = calibrate(bert, texts)
    migrated = split(migrate(bert, ranges, recipe.strengths), ranges, recipe.extra) if recipe.strengths else bert
    return quantize.correct(migrated, calibrate(migrated, texts)) if corrected else migrated


def saturating(linear: Linear, x: Array) -> tuple[Array, int]:
    """The product of x [n, in] as a CPU without VNNI computes it, [n, out], and how many pairs saturated."""
    x = x if linear.input_scale is None else x * linear.input_scale
    codes, scales = rounding.quantize_columns(linear.weight)
    low, high = min(x.min(), 0.0), max(x.max(), 0.0)
    scale = (high - low) / 255
    zero = np.round(-low / scale)
    inputs = np.clip(np.round(x / scale) + zero, 0, 255).astype(np.int32)
    pairs = codes.astype(np.int32).reshape(-1, 2, codes.shape[1])
    sums, many = np.zeros((len(x), codes.shape[1])), 0
    for row, values in enumerate(inputs.reshape(len(x), -1, 2, 1)):
        exact = (values * pairs).sum(axis=1)
        kept = np.clip(exact, -SIXTEEN_BITS, SIXTEEN_BITS - 1)
        many += int(np.count_nonzero(kept != exact))
        sums[row] = kept.sum(axis=0)
    return (sums - zero * codes.sum(axis=0, dtype=np.int64)) * scale * scales + linear.bias, many


def steps(bert: Bert, calibrating: Sequence[Sequence[int]], ids: Sequence[Sequence[int]]) -> None:
    """Prints the first table."""

    def embed(encoder: Bert, kinds: object) -> Array:
        return session.embed(session.load(graph.serialize(graph.build(encoder, "cls", kinds))), ids)

    exact = embed(bert, graph.Float32())
    recipe = Recipe("ablation")

    def row(name: str, encoder: Bert, kinds: object) -> None:
        found = verify.compare(embed(encoder, kinds), exact)
        print(f"| {name} | {found.mean:.5f} | {found.least:.4f} | {found.neighbours:.1%} |", flush=True)

    def whole(name: str, changed: Recipe = recipe, corrected: bool = True) -> None:
        row(name, prepared(bert, calibrating, changed, corrected), Int8(changed))

    def strength(**parts: float) -> Recipe:
        return replace(recipe, strengths=STRENGTHS | parts)

    print("| recipe | mean cosine | smallest | 10 nearest kept |\n|---|---|---|---|")
    whole("the recipe")
    whole("nothing prepared: no shift, no scales, no split", replace(recipe, strengths={}))
    whole("no split channels", replace(recipe, extra=0))
    whole("no split channels, `down` 0.6", replace(strength(down=0.6), extra=0))
    whole("16 split channels", replace(recipe, extra=16))
    whole("64 split channels", replace(recipe, extra=64))
    whole("biases as they were", corrected=False)
    for part in PARTS:
        for other in (STRENGTHS[part] - 0.2, min(STRENGTHS[part] + 0.2, 1.0)):
            whole(f"`{part}` {other:.2f}", strength(**{part: other}))
    with largest_code(127, limited=False):
        whole("whole int8 range, which saturates without VNNI")
    with largest_code(63, limited=False):
        whole("7 bits")
    own = prepared(bert, calibrating, recipe)
    for part in ("words", *PARTS):
        row(f"only {'the word table' if part == 'words' else f'`{part}`'} in int8", own, Partly(recipe, [part]))


def saturation(bert: Bert, calibrating: Sequence[Sequence[int]], ids: Sequence[Sequence[int]]) -> None:
    """Prints the second table."""
    print("| weights | pairs that saturate | saturating against not, smallest cosine | largest difference |")
    print("|---|---|---|---|")
    recipe = Recipe("ablation")
    kinds = {"whole int8 range": (127, False), "7 bits": (63, False), "this recipe": (127, True)}
    for name, (codes, limited) in kinds.items():
        with largest_code(codes, limited):
            own = weights.astype(prepared(bert, calibrating, recipe), np.float64)
            many, pairs = 0, 0

            def product(linear: Linear, x: Array) -> Array:
                nonlocal many, pairs
                found, saturated = saturating(linear, x)
                many, pairs = many + saturated, pairs + len(x) * linear.weight.size // 2
                return found

            def vectors(linear: Callable[[Array, Linear], Array]) -> Array:
                with patch.object(reference, "_linear", linear):
                    return np.stack([reference.embed(own, each, "cls") for each in ids])

            cut = vectors(lambda x, linear: product(linear, x))
            with patch(f"{__name__}.SIXTEEN_BITS", 2**30):
                wide = vectors(lambda x, linear: saturating(linear, x)[0])
        share, least = many / pairs, (cut * wide).sum(axis=1).min()
        largest = np.abs(cut - wide).max()
        print(f"| {name} | {share:.3%} ({many:,} of {pairs:,}) | {least:.2f} | {largest:.2g} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.ablation", description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=verify.Bars.texts, help="paragraphs, default: %(default)s")
    options = parser.parse_args()
    source = SOURCES["bge-small-en-v1.5"]
    files = fetch(source, CACHE)
    bert = weights.load(source, files)
    encode = tokenizer.load(files / TOKENIZER, source.max_tokens)
    calibrating = [encode(text) for text in calibration.texts()]
    ids = [encode(text) for text in corpus.paragraphs(options.texts)]
    steps(bert, calibrating, ids)
    print()
    saturation(bert, calibrating, ids[:EMULATED])
    return 0


if __name__ == "__main__":
    sys.exit(main())
