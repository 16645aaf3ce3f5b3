"""Runs one of our graphs or a stock export, one text a run, as the function does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from tools import operators
from tools.weights import Array


def load(model: Path | bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session over a file or its bytes, in ONNX or in ORT format."""
    content = model if isinstance(model, bytes) else model.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False  # it would keep the longest text's memory
    if content[4:8] == b"ORTM":  # a flatbuffer's identifier; the graph is final, as in the function
        operators.register(options)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def embed(session: onnxruntime.InferenceSession, texts: Iterable[Sequence[int]], pooling: str = "cls") -> Array:
    """Unit vectors [texts, hidden] of tokenised texts; `pooling` is for a stock export, our graphs pool themselves."""
    vectors = embed_raw(session, texts, pooling)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def embed_raw(session: onnxruntime.InferenceSession, texts: Iterable[Sequence[int]], pooling: str = "cls") -> Array:
    """The same vectors at the length that the graph gives them."""
    return np.stack([_run(session, np.array([ids], np.int64), pooling) for ids in texts])


def _run(session: onnxruntime.InferenceSession, ids: Array, pooling: str) -> Array:
    """The vector [hidden] of one text's ids [1, tokens]."""
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    found = session.run(None, {each.name: inputs[each.name] for each in session.get_inputs()})[0][0]
    if session.get_outputs()[0].name == "embedding":
        return found
    return found[0] if pooling == "cls" else found.mean(axis=0)
