"""Writes an encoder's int8 graph: weights quantized ahead of time, activations at run time.

    Bert -> migrate (exact, see there) -> graph.build with the Int8 arithmetic -> ONNX

Each product becomes one DynamicQuantizeMatMul: activations uint8 with one scale for the tensor, taken
from the tensor itself, weights with one scale for each output. The word table is 8 bits too, with a
scale for each block of a row (GatherBlockQuantized); the positions, 0.8 MB, stay float32.

Weights use the whole range of int8. On x86 without VNNI that saturates 16-bit sums, and a text's vector would
depend on the CPU, so the function sets `session.x64quantprecision` there, which takes a kernel that does not.
uint8 weights need no such care, but their kernel leaves VNNI and AMX unused and takes twice as long there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx

from tools import graph
from tools.migrate import calibrate, migrate
from tools.weights import Array, Bert, Linear

PARTS = ("qkv", "output", "intermediate", "down")


@dataclass(frozen=True)
class WeightFormat:
    """An integer type and the part of its range that weights may use."""

    name: str
    dtype: type[np.integer]
    low: int
    high: int


UINT8 = WeightFormat("uint8", np.uint8, 0, 255)
INT8 = WeightFormat("int8", np.int8, -128, 127)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how weights become integers. Change one value, change the version."""

    version: str
    weights: WeightFormat = INT8
    strengths: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.8))
    word_block: int = 128  # elements of a word's row that share a scale; a power of two from 16

    def description(self) -> str:
        """One line for people, as it stands in the manifest."""
        strengths = sorted(set(self.strengths.values()))
        migrated = f"activation outliers migrated (strength {', '.join(map(str, strengths))})" if strengths else ""
        weights = f"int8 products: dynamic uint8 activations, {self.weights.name} weights per channel"
        return ", ".join(filter(None, [weights, migrated, f"uint8 word table in blocks of {self.word_block}"]))


def quantize(bert: Bert, pooling: str, texts: Sequence[Sequence[int]], recipe: Recipe) -> onnx.ModelProto:
    """The int8 graph. `texts` are token ids for calibration; from the same ones every machine makes the same graph."""
    migrated = migrate(bert, calibrate(bert, texts), recipe.strengths)
    return graph.build(migrated, pooling, Int8(recipe))


class Int8:
    """Products and word rows in 8 bits, by a recipe."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def rows(self, into: graph.Graph, words: Array, ids: str) -> str:
        codes, scales, zeros = quantize_blocks(words, self.recipe.word_block)
        constants = [into.constant("words", codes), ids]
        constants += [into.constant("words.scales", scales), into.constant("words.zeros", zeros)]
        settings = {"gather_axis": 0, "quantize_axis": 1, "block_size": self.recipe.word_block, "bits": 8}
        return into.add("GatherBlockQuantized", constants, "word_rows", graph.MICROSOFT, **settings)

    def product(self, into: graph.Graph, x: str, linear: Linear, name: str, with_bias: bool) -> str:
        codes, scales, zeros = quantize_columns(linear.weight, self.recipe.weights)
        inputs = [graph.scaled(into, x, linear, name)]
        inputs += [into.constant(f"{name}.weight", codes), into.constant(f"{name}.scales", scales)]
        inputs += [into.constant(f"{name}.zeros", zeros)]
        if with_bias:
            inputs.append(into.constant(f"{name}.bias", linear.bias))
        return into.add("DynamicQuantizeMatMul", inputs, name, graph.MICROSOFT)


def quantize_columns(weight: Array, form: WeightFormat) -> tuple[Array, Array, Array]:
    """Codes [in, out], scales [out] and zero points [out]: `weight ~ (codes - zeros) * scales`."""
    return _affine(weight, 0, form)


def quantize_blocks(table: Array, block: int) -> tuple[Array, Array, Array]:
    """uint8 codes [rows, width], scales and zero points [rows, blocks], the last block maybe shorter."""
    starts = range(0, table.shape[1], block)
    parts = [_affine(table[:, start : start + block], 1, UINT8) for start in starts]
    codes, scales, zeros = zip(*parts, strict=True)
    return np.hstack(codes), np.stack(scales, axis=1), np.stack(zeros, axis=1)


def _affine(values: Array, axis: int, form: WeightFormat) -> tuple[Array, Array, Array]:
    """Quantizes along `axis` between the smallest and the largest value, zero included."""
    low = np.minimum(values.min(axis=axis), 0).astype(np.float64)
    high = np.maximum(values.max(axis=axis), 0).astype(np.float64)
    scales = np.where(high > low, (high - low) / (form.high - form.low), 1.0).astype(np.float32)
    zeros = np.round(form.low - low / scales)
    codes = np.round(values / np.expand_dims(scales, axis)) + np.expand_dims(zeros, axis)
    return np.clip(codes, form.low, form.high).astype(form.dtype), scales, zeros.astype(form.dtype)
