"""Runs a graph of our own making, one text a run, as the function does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from tools.weights import Array


def load(model: Path | bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session over a file or its bytes, in ONNX or in ORT format."""
    content = model if isinstance(model, bytes) else model.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False  # it would keep the longest text's memory
    if content[4:8] == b"ORTM":  # a flatbuffer's identifier; this graph is final, as it is for the function
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def embed(session: onnxruntime.InferenceSession, texts: Iterable[Sequence[int]]) -> Array:
    """Unit vectors [texts, hidden] of tokenised texts, by a graph with an `embedding` output."""
    vectors = embed_raw(session, texts)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def embed_raw(session: onnxruntime.InferenceSession, texts: Iterable[Sequence[int]]) -> Array:
    """The same vectors at the length that the graph gives them."""
    runs = (session.run(["embedding"], {"input_ids": np.array([ids], np.int64)})[0] for ids in texts)
    return np.concatenate(list(runs))
