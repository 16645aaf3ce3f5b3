"""Our kernels beside ONNX Runtime's, one text on one core: `python -m tools.bench.kernels FOLDER`.

FOLDER is a model of `make model STANDARD=yes`, which holds the graph in our operators and in ONNX Runtime's; `make
operators` builds ours. Each session has a process and one thread. They take turns, and what counts is the thread's
processor time, so a busy machine disturbs less. Processes inherit the environment.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnxruntime

from tools import operators, tokenizer, verify
from tools.manifest import MODEL, STANDARD_MODEL, TOKENIZER
from tools.weights import Array

TOKENS = (12, 45, 128, 300)
MAX_TOKENS = 512


def load(model: Path, instruction_set: str | None) -> None:
    """Makes this process's session, with the function's options."""
    global session
    if instruction_set:
        os.environ[operators.INSTRUCTION_SET] = instruction_set
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    operators.register(options)
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def embed(ids: Sequence[int]) -> Array:
    return session.run(None, {"input_ids": np.array([ids], np.int64)})[0][0]


def measure(tokens: int) -> float:
    """A run's median processor time [ms]."""
    ids = [2000 + at * 7919 % 18000 for at in range(tokens)]
    embed(ids)
    times = []
    for _ in range(max(8, min(60, 2000 // tokens))):
        start = time.thread_time()
        embed(ids)
        times.append(time.thread_time() - start)
    return statistics.median(times) * 1e3


def compare(processes: dict[str, ProcessPoolExecutor], rounds: int) -> None:
    """Prints milliseconds (the fastest round's, the median of all) and the first session's over each other's."""
    found: dict[str, list[list[float]]] = {name: [[] for _ in TOKENS] for name in processes}
    for _ in range(rounds):
        for at, tokens in enumerate(TOKENS):
            for name, process in processes.items():
                found[name][at].append(process.submit(measure, tokens).result())
    first = [min(each) for each in next(iter(found.values()))]
    for name, medians in found.items():
        ratios = [theirs / min(ours) for theirs, ours in zip(first, medians, strict=True)]
        columns = [f"{min(each):8.2f} ({statistics.median(each):.2f})" for each in medians]
        mean = math.prod(ratios) ** (1 / len(ratios))
        print(f"{name:14}", *columns, f"  x {mean:.2f}:", *(f"{ratio:.2f}" for ratio in ratios))


def fidelity(processes: dict[str, ProcessPoolExecutor], goldens: Path, folder: Path) -> None:
    """Prints how near each session's vectors are to float32's, which `make goldens` writes."""
    entries = json.loads(goldens.read_text())["texts"]
    encode = tokenizer.load(folder / TOKENIZER, MAX_TOKENS)
    texts, exact = [encode(entry["text"]) for entry in entries], np.array([entry["vector"] for entry in entries])
    for name, process in processes.items():
        vectors = np.stack(list(process.map(embed, texts)))
        near = verify.compare(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), exact)
        print(f"{name:14} {len(texts)} texts, cosine mean {near.mean:.6f}, smallest {near.least:.6f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.kernels", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=operators.INSTRUCTION_SETS, default=[None], help="default: the best")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fidelity", type=Path, metavar="GOLDENS", help="compare vectors with these instead of times")
    options = parser.parse_args()
    if not (options.folder / STANDARD_MODEL).is_file():
        parser.error(f"{options.folder / STANDARD_MODEL} is not there; `make model STANDARD=yes` builds it")
    sessions = {"ONNX Runtime": (options.folder / STANDARD_MODEL, None)}
    sessions |= {each or "ours": (options.folder / MODEL, each) for each in options.sets}
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        processes = {name: stack.enter_context(ProcessPoolExecutor(1, spawn)) for name in sessions}
        for name, process in processes.items():
            process.submit(load, *sessions[name]).result()
        if options.fidelity:
            fidelity(processes, options.fidelity, options.folder)
        else:
            compare(processes, options.rounds)


if __name__ == "__main__":
    main()
