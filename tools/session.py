"""Runs a graph of our own making, one text a run, as the function does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from tools.weights import Array


def load(model: Path | bytes, threads: int = 1) -> onnxruntime.InferenceSession:
    """A CPU session over a file or its bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False  # it would keep the longest text's memory
    content = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def embed(session: onnxruntime.InferenceSession, texts: Iterable[Sequence[int]]) -> Array:
    """Unit vectors [texts, hidden] of tokenised texts, by a graph with an `embedding` output."""
    runs = (session.run(["embedding"], {"input_ids": np.array([ids], np.int64)})[0] for ids in texts)
    return np.concatenate(list(runs))
