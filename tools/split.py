"""Splits an encoder's outlier channels, exactly, where a feed-forward's inner activations have them.

    migrated Bert -> split -> Bert with a few more inner channels

In BERT one inner channel of the first token is several times as large as everything else, and with one scale
for the whole tensor all others pay for it. Migrating it into the weights only moves the trouble there. So it
is computed several times (Outlier Channel Splitting, arXiv:1901.09504): the column of `intermediate` that
makes it is repeated, and each copy brings its share to `down`. The result is the same, the tensor's range is
what the shares need, and a few channels more cost nothing that can be measured.

Other products read a layer norm or an attention, whose channels cannot be repeated for free; there
migration suffices.
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
