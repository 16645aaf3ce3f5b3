"""Reads a BERT encoder's weights into one canonical structure.

    config + model.safetensors        -> Bert
    config + PyTorch's ONNX export    -> Bert

All later steps (reference, graph, quantizer) see only this structure, never tensor names.
Invariants: arrays are float32 and C-contiguous; a Linear's weight is [in, out], ready for
`x @ weight` (PyTorch stores [out, in]); query, key and value are one Linear side by side.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tools.sources import CONFIG, EXPORT, WEIGHTS, Source

Array = np.ndarray


class WeightsError(Exception):
    """The files are not a BERT encoder that this project can run; the message says what differs."""


@dataclass(frozen=True)
class Linear:
    """`(x * input_scale) @ weight + bias`; weight [in, out], bias [out], input_scale [in] or None for ones.

    No checkpoint has an input scale; `migrate` adds it.
    """

    weight: Array
    bias: Array
    input_scale: Array | None = None


@dataclass(frozen=True)
class Norm:
    """Layer normalisation's gain and offset, [hidden] each."""

    gamma: Array
    beta: Array


@dataclass(frozen=True)
class Layer:
    """One post-norm transformer layer; qkv is [hidden, 3 * hidden]."""

    qkv: Linear
    output: Linear
    attention_norm: Norm
    intermediate: Linear
    down: Linear
    output_norm: Norm


@dataclass(frozen=True)
class Bert:
    """An encoder. words [vocabulary, hidden]; positions [limit, hidden], token type 0 already added."""

    words: Array
    positions: Array
    embedding_norm: Norm
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float

    @property
    def hidden(self) -> int:
        return self.words.shape[1]


def load(source: Source, folder: Path) -> Bert:
    """Reads the encoder of `source` from the folder that `fetch` filled.

    Raises WeightsError for another architecture, a missing tensor or a shape that does not fit.
    """
    config = source.config or json.loads((folder / CONFIG).read_text())
    if (export := folder / EXPORT).exists():
        from tools import export_weights

        return from_tensors(config, export_weights.read(export, config["num_hidden_layers"]))
    from safetensors.numpy import load_file

    return from_tensors(config, load_file(folder / WEIGHTS))


def from_tensors(config: Mapping[str, Any], tensors: Mapping[str, Array]) -> Bert:
    """The encoder of a parsed config and tensors by name, with or without the `bert.` prefix before each name.

    Raises WeightsError as `load` does.
    """
    expected = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in expected.items():
        if config.get(key, value) != value:
            raise WeightsError(f"config.json: {key} is {config[key]!r}, only {value!r} is supported")
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    if hidden % config["num_attention_heads"]:
        raise WeightsError(f"config.json: hidden_size {hidden} is not a multiple of num_attention_heads")
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in tensors else ""

    def tensor(name: str, *shape: int) -> Array:
        found = tensors.get(prefix + name)
        if found is None:
            raise WeightsError(f"tensor {prefix + name} is missing")
        if found.shape != shape:
            raise WeightsError(f"tensor {prefix + name} has shape {found.shape}, expected {shape}")
        return np.ascontiguousarray(found, dtype=np.float32)

    def linear(name: str, inputs: int, outputs: int) -> Linear:
        weight = tensor(f"{name}.weight", outputs, inputs)
        return Linear(np.ascontiguousarray(weight.T), tensor(f"{name}.bias", outputs))

    def norm(name: str) -> Norm:
        return Norm(tensor(f"{name}.weight", hidden), tensor(f"{name}.bias", hidden))

    def layer(index: int) -> Layer:
        base = f"encoder.layer.{index}"
        parts = [linear(f"{base}.attention.self.{part}", hidden, hidden) for part in ("query", "key", "value")]
        return Layer(
            qkv=Linear(np.hstack([part.weight for part in parts]), np.hstack([part.bias for part in parts])),
            output=linear(f"{base}.attention.output.dense", hidden, hidden),
            attention_norm=norm(f"{base}.attention.output.LayerNorm"),
            intermediate=linear(f"{base}.intermediate.dense", hidden, inner),
            down=linear(f"{base}.output.dense", inner, hidden),
            output_norm=norm(f"{base}.output.LayerNorm"),
        )

    token_types = tensor("embeddings.token_type_embeddings.weight", config["type_vocab_size"], hidden)
    positions = tensor("embeddings.position_embeddings.weight", config["max_position_embeddings"], hidden)
    return Bert(
        words=tensor("embeddings.word_embeddings.weight", config["vocab_size"], hidden),
        positions=positions + token_types[0],
        embedding_norm=norm("embeddings.LayerNorm"),
        layers=tuple(layer(index) for index in range(config["num_hidden_layers"])),
        heads=config["num_attention_heads"],
        epsilon=config["layer_norm_eps"],
    )


def astype(part: Any, dtype: type[np.floating]) -> Any:
    """A copy of a Bert (or any part of one) with every array in another float type."""
    if isinstance(part, np.ndarray):
        return part.astype(dtype)
    if isinstance(part, tuple):
        return tuple(astype(item, dtype) for item in part)
    if hasattr(part, "__dataclass_fields__"):
        return type(part)(*(astype(getattr(part, field.name), dtype) for field in fields(part)))
    return part
