"""BERT's forward pass in plain numpy: the reference for every graph of this project.

    ids [n] -> embeddings -> layers -> hidden [n, hidden] -> pooling -> unit vector [hidden]

It follows the model's definition, one text at a time, with the exact (erf) gelu, in the float type of the given
weights. Written to be read, not to be fast.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tools.erf import erf
from tools.weights import Array, Bert, Layer, Linear, Norm

# Called with a product's name ("3.qkv", "3.output", "3.intermediate", "3.down") and its input
# [n, in], before the product's own input scale.
Observer = Callable[[str, Array], None]


def embed(bert: Bert, ids: Sequence[int], pooling: str) -> Array:
    """The unit vector [hidden] of one text's token ids; pooling is "cls" or "mean"."""
    states = hidden_states(bert, ids)
    pooled = states[0] if pooling == "cls" else states.mean(axis=0)
    return pooled / np.linalg.norm(pooled)


def hidden_states(bert: Bert, ids: Sequence[int], observe: Observer | None = None) -> Array:
    """The last layer's output, [n, hidden]."""
    tokens = np.asarray(ids)
    x = _normalise(bert.words[tokens] + bert.positions[: len(tokens)], bert.embedding_norm, bert.epsilon)
    for index, layer in enumerate(bert.layers):
        x = _layer(x, layer, str(index), bert, observe)
    return x


def _layer(x: Array, layer: Layer, name: str, bert: Bert, observe: Observer | None) -> Array:
    def product(part: str, values: Array) -> Array:
        if observe:
            observe(f"{name}.{part}", values)
        return _linear(values, getattr(layer, part))

    context = _attention(product("qkv", x), bert.heads)
    x = _normalise(x + product("output", context), layer.attention_norm, bert.epsilon)
    inner = _gelu(product("intermediate", x))
    return _normalise(x + product("down", inner), layer.output_norm, bert.epsilon)


def _linear(x: Array, linear: Linear) -> Array:
    scaled = x if linear.input_scale is None else x * linear.input_scale
    return scaled @ linear.weight + linear.bias


def _attention(qkv: Array, heads: int) -> Array:
    """Scaled dot-product attention; qkv [n, 3 * hidden] -> [n, hidden]."""
    count, width = qkv.shape[0], qkv.shape[1] // (3 * heads)
    query, key, value = qkv.reshape(count, 3, heads, width).transpose(1, 2, 0, 3)
    scores = query @ key.transpose(0, 2, 1) / np.sqrt(width).astype(qkv.dtype)
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    context = (scores / scores.sum(axis=-1, keepdims=True)) @ value
    return context.transpose(1, 0, 2).reshape(count, heads * width)


def _normalise(x: Array, norm: Norm, epsilon: float) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(epsilon)) * norm.gamma + norm.beta


def _gelu(x: Array) -> Array:
    return x * (1 + erf(x / np.sqrt(2).astype(x.dtype))) / 2
