"""Writes an encoder's int8 graph: weights quantized ahead of time, activations at run time.

    Bert -> migrate, split (exact, see there) -> correct the biases -> graph.build with Int8 or operators.Packed -> ONNX

`Int8` makes each product one DynamicQuantizeMatMul: activations are uint8 with one scale for the tensor, taken
from the tensor itself, and weights have one scale for each output. The word table has 8 bits too, with a
scale for each block of a row (GatherBlockQuantized); the positions, 0.8 MB, stay float32.

Calibration shows what rounding the weights adds to a product's output on average, and the bias is reduced by that
(Data-Free Quantization, arXiv:1906.04721, section 4.2), which costs nothing at run time.

Weights are int8 of almost the whole range, rounded so that no x86 CPU saturates (see `rounding`). uint8 weights cannot
saturate either, but their kernel does not use VNNI and AMX, and on CPUs that have these it takes twice as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tools import graph
from tools.migrate import Range, calibrate, migrate
from tools.rounding import quantize_columns, short
from tools.split import split
from tools.weights import Array, Bert, Layer, Linear

PARTS = ("qkv", "output", "intermediate", "down")
# Migration's strength for each part; docs/quantization.md has the results of others. `down` needs less because its
# outlier channels are split.
STRENGTHS = {"qkv": 0.9, "output": 0.65, "intermediate": 0.9, "down": 0.45}


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how weights become integers. If you change a value, change the version."""

    version: str
    strengths: Mapping[str, float] = field(default_factory=STRENGTHS.copy)
    extra: int = 32  # inner channels added to each layer by splitting; a multiple of 16 suits the kernels
    word_block: int = 128  # elements of a word's row that share a scale; a power of two from 16

    def description(self) -> str:
        """One line for people, which the manifest contains."""
        strengths = ", ".join(f"{part} {strength}" for part, strength in self.strengths.items())
        return (
            f"int8 products: dynamic uint8 activations, int8 weights per channel that cannot saturate; "
            f"activation outliers migrated (strengths {strengths}), {self.extra} inner channels split, "
            f"biases corrected; uint8 word table in blocks of {self.word_block}"
        )


def prepare(bert: Bert, texts: Sequence[Sequence[int]], recipe: Recipe) -> Bert:
    """The encoder ready for rounding, the same on every machine. `texts` are token ids for calibration."""
    ranges = calibrate(bert, texts)
    prepared = split(migrate(bert, ranges, recipe.strengths), ranges, recipe.extra)
    return correct(prepared, calibrate(prepared, texts))


def correct(bert: Bert, ranges: Mapping[str, Range]) -> Bert:
    """The encoder with biases that compensate for rounding its weights; `ranges` are those of its products' inputs."""

    def linear(part: Linear, mean: Array) -> Linear:
        scaled = mean if part.input_scale is None else mean * part.input_scale
        codes, scales = quantize_columns(part.weight)
        lost = part.weight - codes.astype(np.float64) * scales
        return replace(part, bias=(part.bias + scaled @ lost).astype(np.float32))

    def layer(index: int, whole: Layer) -> Layer:
        return replace(whole, **{part: linear(getattr(whole, part), ranges[f"{index}.{part}"].mean) for part in PARTS})

    return replace(bert, layers=tuple(layer(index, whole) for index, whole in enumerate(bert.layers)))


class Int8(graph.Arithmetic):
    """Products and word rows in 8 bits, by a recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def rows(self, into: graph.Graph, words: Array, ids: str) -> str:
        codes, scales, zeros = quantize_blocks(words, self.recipe.word_block)
        constants = [into.constant("words", codes), ids]
        constants += [into.constant("words.scales", scales), into.constant("words.zeros", zeros)]
        settings = {"gather_axis": 0, "quantize_axis": 1, "block_size": self.recipe.word_block, "bits": 8}
        return into.add("GatherBlockQuantized", constants, "word_rows", graph.MICROSOFT, **settings)

    def product(self, into: graph.Graph, x: str, linear: Linear, name: str) -> str:
        codes, scales = quantize_columns(linear.weight)
        inputs = [graph.scaled(into, x, linear, name)]
        inputs += [into.constant(f"{name}.weight", codes), into.constant(f"{name}.scales", scales)]
        inputs += ["", into.constant(f"{name}.bias", linear.bias)]  # no zero points: codes are around zero
        return into.add("DynamicQuantizeMatMul", inputs, name, graph.MICROSOFT)


def quantize_blocks(table: Array, block: int) -> tuple[Array, Array, Array]:
    """uint8 codes [rows, width], scales and zero points [rows, blocks], the last block maybe shorter."""
    starts = range(0, table.shape[1], block)
    parts = [_affine(table[:, start : start + block]) for start in starts]
    codes, scales, zeros = zip(*parts, strict=True)
    return np.hstack(codes), np.stack(scales, axis=1), np.stack(zeros, axis=1)


def _affine(values: Array) -> tuple[Array, Array, Array]:
    """Quantizes each row between its smallest and its largest value, zero included."""
    low = np.minimum(values.min(axis=1), 0).astype(np.float64)
    high = np.maximum(values.max(axis=1), 0).astype(np.float64)
    scales = short(np.where(high > low, (high - low) / 255, 1.0))
    zeros = np.round(-low / scales)
    codes = np.round(values / scales[:, None]) + zeros[:, None]
    return np.clip(codes, 0, 255).astype(np.uint8), scales, zeros.astype(np.uint8)
