"""Writes a model as fasttextembed reads it: `model.fte` and `vocab.tsv`.

    header | table, an entry a tensor | tensors, each at a multiple of 64 bytes

Matrices are float16, vectors float32, as in the file that its makers publish. Products are named after the
initialisers of the graph that they converted, so those names are part of the format.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from tools.weights import Array, Bert, Norm

MAGIC, VERSION, ALIGNMENT = b"FTE1", 2, 64
FLOAT32, FLOAT16 = 0, 1
# Offsets of table and tensors, magic, version, seven sizes of the model, number of tensors, padding.
HEADER = struct.Struct("<QQ4sI7III")
# Offset, bytes, name, dimensions, four sizes, type.
ENTRY = struct.Struct("<QQ64sI4II")


def write(bert: Bert, tokenizer: Path, folder: Path) -> None:
    """Both files. The engine has bge-small's sizes compiled in and refuses a model of others."""
    found = _tensors(bert)
    table = _aligned(HEADER.size)
    at = start = _aligned(table + ENTRY.size * len(found))
    entries, blobs = [], []
    for name, values in sorted(found.items()):
        kind = FLOAT16 if values.ndim == 2 else FLOAT32
        blob = values.astype(np.float16 if kind == FLOAT16 else np.float32).tobytes()
        sizes = [*values.shape, 0, 0, 0][:4]
        entries.append(ENTRY.pack(at, len(blob), name.encode(), values.ndim, *sizes, kind))
        blobs.append(blob.ljust(_aligned(len(blob)), b"\0"))
        at += len(blobs[-1])
    vocabulary, hidden = bert.words.shape
    inner = len(bert.layers[0].down.weight)
    model = [hidden, len(bert.layers), bert.heads, inner, vocabulary, len(bert.positions), 2]
    head = HEADER.pack(table, start, MAGIC, VERSION, *model, len(found), 0).ljust(table, b"\0")
    (folder / "model.fte").write_bytes((head + b"".join(entries)).ljust(start, b"\0") + b"".join(blobs))
    words = sorted(Tokenizer.from_file(str(tokenizer)).get_vocab().items(), key=lambda item: item[1])
    (folder / "vocab.tsv").write_text("".join(f"{word}\t{number}\n" for word, number in words))


def _tensors(bert: Bert) -> dict[str, Array]:
    found = {
        "embeddings.word_embeddings.weight": bert.words,
        # Token type 0 is part of the positions already, and no text has another.
        "embeddings.position_embeddings.weight": bert.positions,
        "embeddings.token_type_embeddings.weight": np.zeros((2, bert.hidden), np.float32),
        **_norm("embeddings.LayerNorm", bert.embedding_norm),
    }
    for number, layer in enumerate(bert.layers):
        base, product = f"encoder.layer.{number}", 1536 + 13 * number
        found |= {
            f"Attention_{number}_qkv_weight": layer.qkv.weight,
            f"Attention_{number}_qkv_bias": layer.qkv.bias,
            f"onnx::MatMul_{product}": layer.output.weight,
            f"onnx::MatMul_{product + 1}": layer.intermediate.weight,
            f"onnx::MatMul_{product + 2}": layer.down.weight,
            f"{base}.attention.output.dense.bias": layer.output.bias,
            f"{base}.intermediate.dense.bias": layer.intermediate.bias,
            f"{base}.output.dense.bias": layer.down.bias,
            **_norm(f"{base}.attention.output.LayerNorm", layer.attention_norm),
            **_norm(f"{base}.output.LayerNorm", layer.output_norm),
        }
    return found


def _norm(name: str, norm: Norm) -> dict[str, Array]:
    return {f"{name}.weight": norm.gamma, f"{name}.bias": norm.beta}


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
