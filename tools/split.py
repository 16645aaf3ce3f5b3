"""Splits the outlier channels among an encoder's inner feed-forward activations, exactly.

    migrated Bert -> split -> Bert with a few more inner channels

In BERT one inner channel of the first token is several times as large as all others. With one scale for the whole
tensor the others then lose precision, and migrating the channel into the weights only moves the problem there. So the
channel is split into copies (Outlier Channel Splitting, arXiv:1901.09504): its column of `intermediate` is repeated,
and each copy gives a part of the sum to `down`. The result is the same, the tensor's range shrinks to the parts', and
the cost of a few more channels cannot be measured.

The order of inner channels does not matter, so each large one is put beside a small one, and `rounding` has to limit
few codes.

Other products read a layer norm or an attention, whose channels cannot be repeated for free; there migration is
enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tools.migrate import Range
from tools.weights import Array, Bert, Layer, Linear


def split(bert: Bert, ranges: Mapping[str, Range], extra: int) -> Bert:
    """The encoder with `extra` more inner channels a layer; `ranges` are those of its products' inputs."""
    layers = (_split(layer, ranges[f"{index}.down"], extra) for index, layer in enumerate(bert.layers))
    return replace(bert, layers=tuple(layers))


def _split(layer: Layer, seen: Range, extra: int) -> Layer:
    up, down = layer.intermediate, layer.down
    factors = down.input_scale if down.input_scale is not None else np.ones(len(down.weight), np.float32)
    copies = _copies(seen.size() * factors, extra)
    places = np.repeat(np.arange(len(copies)), copies)
    places = places[_large_beside_small(np.linalg.norm(down.weight[places], axis=1))]
    return replace(
        layer,
        intermediate=Linear(np.ascontiguousarray(up.weight[:, places]), up.bias[places], up.input_scale),
        down=Linear(down.weight[places], down.bias, (factors / copies).astype(np.float32)[places]),
    )


def _copies(sizes: Array, extra: int) -> Array:
    """How often each channel is computed, so that the largest share is as small as `extra` more can make it."""
    copies = np.ones(len(sizes), np.int64)
    for _ in range(extra):
        copies[np.argmax(sizes / copies)] += 1
    return copies


def _large_beside_small(sizes: Array) -> Array:
    """An order in which the largest is followed by the smallest, the second largest by the second smallest, ..."""
    falling = np.argsort(-sizes, kind="stable")
    half = (len(sizes) + 1) // 2
    order = np.empty_like(falling)
    order[0::2], order[1::2] = falling[:half], falling[half:][::-1]
    return order
