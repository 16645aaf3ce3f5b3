"""Rounds weights to int8 so that products of them are the same on every CPU.

x86 without VNNI multiplies uint8 activations by int8 weights and adds every two products in 16 bits, which saturate:
255 * 127 * 2 is twice the largest number. ONNX Runtime's `session.x64quantprecision` avoids this in an optimiser, but
no optimiser runs over a graph in ORT format. So the codes here cannot saturate: in each column the codes of two
neighbouring rows (0 and 1, 2 and 3, ...) never add up to more than 128 or less than -128, and 255 * 128 fits. Seven-bit
codes cannot saturate either, but have twice the rounding error.

Each column's scale is the one, of a few, that leaves the least squared error after rounding and limiting. Scales are
numbers of 16 bits, because a zip has no way to make random digits shorter: in bge-small they are 0.3 MB of a package.
Codes are rounded with the scale as it is kept, so nothing is lost by it.
"""

from __future__ import annotations

import numpy as np

from tools.weights import Array

LARGEST = 127
PAIR = 128
# Factors of the scale that just reaches the largest weight. Below one clips that weight; two is seven bits' scale.
STRETCHES = np.linspace(0.9, 2.0, 12)


def quantize_columns(weight: Array) -> tuple[Array, Array]:
    """int8 codes [in, out] and float32 scales [out], `weight ~ codes * scales`; `in` has to be even."""
    reach = np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny * LARGEST) / LARGEST
    scales = np.ones(weight.shape[1], np.float32)
    codes = np.zeros(weight.shape, np.float32)
    least = np.full(weight.shape[1], np.inf)
    for stretch in STRETCHES:
        tried = short(reach * stretch)
        found = limited(np.rint(weight / tried))
        error = np.square(weight - found * tried).sum(axis=0)
        better = error < least
        least, scales = np.where(better, error, least), np.where(better, tried, scales)
        codes = np.where(better, found, codes)
    return codes.astype(np.int8), scales.astype(np.float32)


def short(positive: Array) -> Array:
    """The next larger float32 whose lower 16 bits are zeros (a bfloat16), so that what a scale reaches stays in reach."""
    bits = np.asarray(positive, np.float32).view(np.uint32)
    return ((bits + 0xFFFF) & 0xFFFF0000).astype(np.uint32).view(np.float32)


def limited(codes: Array) -> Array:
    """Codes of which no pair saturates: both codes of a pair are reduced by the same amount."""
    pairs = np.clip(codes, -LARGEST, LARGEST).reshape(-1, 2, codes.shape[1])
    total = pairs.sum(axis=1)
    excess = np.maximum(np.abs(total) - PAIR, 0)
    off = np.stack([np.ceil(excess / 2), np.floor(excess / 2)], axis=1)
    return (pairs - np.sign(total)[:, None] * off).reshape(codes.shape)
