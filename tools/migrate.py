"""Rewrites an encoder, exactly, so that its activations are easier to quantize.

    Bert -> calibrate on texts -> migrate -> Bert

An int8 product has one scale for a whole activation tensor, so a channel of size 30 beside a
median of 2 costs all others their precision. Two rewrites help, and neither changes the result:

- shift: each channel is centred around zero (Outlier Suppression+, arXiv:2304.09145), which costs
  nothing at run time. After a layer norm the shift goes into beta, and the readers of the norm - the next
  product and the skip connection - add the difference to their bias. Before the attention's output
  it goes through the value bias into the output bias, because attention weights sum to one;
- scale: each channel is divided by s and its weights multiplied by s, s = max|x|^a / max|w|^(1-a)
  (SmoothQuant, arXiv:2211.10438). Free before the attention's output, where it goes into the
  value weights; one multiplication elsewhere.

The gelu's output, which feeds `down`, cannot be shifted for free and is only scaled.
Everything runs in float64, and the factors are rounded to grids, so that the same texts give the same factors to the
bit on every machine, in whatever order its BLAS adds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tools import reference
from tools.weights import Array, Bert, Layer, Linear, Norm, astype

SHIFT_GRID = 2.0**-10
STEPS_PER_OCTAVE = 32  # of the scales' logarithmic grid
SMALLEST = 1e-4  # a channel or weight row this small, or zero, needs no finer factor


@dataclass(frozen=True)
class Range:
    """Each channel's smallest and largest value over the calibration texts, and their sum over `count` tokens."""

    low: Array
    high: Array
    total: Array
    count: int

    @property
    def mean(self) -> Array:
        return self.total / self.count

    @property
    def centre(self) -> Array:
        return np.round((self.low + self.high) / 2 / SHIFT_GRID) * SHIFT_GRID

    def size(self, shift: Array | float = 0.0) -> Array:
        """The largest absolute value, once `shift` is taken off."""
        return np.maximum(np.abs(self.low - shift), np.abs(self.high - shift))


def calibrate(bert: Bert, texts: Iterable[Sequence[int]]) -> dict[str, Range]:
    """The range of every product's input over tokenised texts, by the product's name ("3.qkv")."""
    ranges: dict[str, Range] = {}

    def observe(name: str, x: Array) -> None:
        found = Range(x.min(axis=0), x.max(axis=0), x.sum(axis=0), len(x))
        seen = ranges.get(name)
        ranges[name] = _both(seen, found) if seen else found

    exact = astype(bert, np.float64)
    for ids in texts:
        reference.hidden_states(exact, ids, observe)
    return ranges


def _both(a: Range, b: Range) -> Range:
    return Range(np.minimum(a.low, b.low), np.maximum(a.high, b.high), a.total + b.total, a.count + b.count)


def migrate(bert: Bert, ranges: Mapping[str, Range], strengths: Mapping[str, float]) -> Bert:
    """The rewritten encoder, float32.

    `strengths` maps a product's part (qkv, output, intermediate, down) to SmoothQuant's a; a part
    that is not named keeps its scale.
    """
    shifted = _shifted(astype(bert, np.float64), ranges)
    layers = tuple(_scaled(layer, str(index), ranges, strengths) for index, layer in enumerate(shifted.layers))
    return astype(replace(shifted, layers=layers), np.float32)


def _shifted(bert: Bert, ranges: Mapping[str, Range]) -> Bert:
    """Centres the channels before every product but `down`. The last norm, the encoder's own output, stays."""

    def lowered(norm: Norm, shift: Array) -> Norm:
        return replace(norm, beta=norm.beta - shift)

    def reading(linear: Linear, shift: Array) -> Linear:
        return replace(linear, bias=linear.bias + shift @ linear.weight)

    def skipping(linear: Linear, shift: Array) -> Linear:
        return replace(linear, bias=linear.bias + shift)

    def shifted(index: int, layer: Layer) -> Layer:
        before, between = ranges[f"{index}.qkv"].centre, ranges[f"{index}.intermediate"].centre
        context = ranges[f"{index}.output"].centre
        following = ranges.get(f"{index + 1}.qkv")
        return replace(
            layer,
            qkv=_with_value_bias(reading(layer.qkv, before), -context),
            output=skipping(reading(layer.output, context), before),
            attention_norm=lowered(layer.attention_norm, between),
            intermediate=reading(layer.intermediate, between),
            down=skipping(layer.down, between),
            output_norm=lowered(layer.output_norm, following.centre) if following else layer.output_norm,
        )

    return replace(
        bert,
        embedding_norm=lowered(bert.embedding_norm, ranges["0.qkv"].centre),
        layers=tuple(shifted(index, layer) for index, layer in enumerate(bert.layers)),
    )


def _with_value_bias(qkv: Linear, added: Array) -> Linear:
    return replace(qkv, bias=qkv.bias + np.concatenate([np.zeros(2 * len(added)), added]))


def _scaled(layer: Layer, name: str, ranges: Mapping[str, Range], strengths: Mapping[str, float]) -> Layer:
    """Divides the channels of a (shifted) layer's product inputs by their factors."""
    for part, strength in strengths.items():
        seen, linear = ranges[f"{name}.{part}"], getattr(layer, part)
        factors = _factors(seen.size(0.0 if part == "down" else seen.centre), linear, strength)
        weight = linear.weight * factors[:, None]
        if part == "output":
            columns = np.concatenate([np.ones(2 * len(factors)), factors])
            qkv = replace(layer.qkv, weight=layer.qkv.weight / columns, bias=layer.qkv.bias / columns)
            layer = replace(layer, qkv=qkv, output=replace(linear, weight=weight))
        else:
            layer = replace(layer, **{part: replace(linear, weight=weight, input_scale=1 / factors)})
    return layer


def _factors(sizes: Array, linear: Linear, strength: float) -> Array:
    weights = np.maximum(np.abs(linear.weight).max(axis=1), SMALLEST)
    octaves = strength * np.log2(np.maximum(sizes, SMALLEST)) - (1 - strength) * np.log2(weights)
    return 2.0 ** (np.round(octaves * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE)
