"""crates/kernels beside ONNX Runtime's own kernels, one text on one core: `python -m tools.bench.kernels MODEL`.

MODEL is a standard graph of the recipe in ORT format. Its weights go to the crate's example `encoder`, which runs the
whole encoder (`cargo build --release -p kernels --example encoder` builds it). Programs take turns, and what counts
is a thread's processor time, so a busy machine disturbs less. `--fidelity GOLDENS TOKENIZER` compares vectors with float32's
instead.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.tools import ort_format_model as _  # makes ort_flatbuffers_py importable
from ort_flatbuffers_py.fbs import InferenceSession

TOKENS = (12, 45, 128, 300)
HEADS = 12  # bge-small's and all-MiniLM-L6's, which the graph's weights do not tell
BLOCK = 128  # of the word table's uint8 codes
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64}


def initializers(model: Path) -> dict[str, np.ndarray]:
    """All constants of a graph in ORT format, by name."""
    graph = InferenceSession.InferenceSession.GetRootAs(model.read_bytes(), 0).Model().Graph()
    found = {}
    for index in range(graph.InitializersLength()):
        tensor = graph.Initializers(index)
        if tensor.RawDataLength():
            shape = tensor.DimsAsNumpy() if tensor.DimsLength() else []
            values = np.frombuffer(tensor.RawDataAsNumpy().tobytes(), TYPES[tensor.DataType()])
            found[tensor.Name().decode()] = values.reshape(shape)
    return found


def weights(model: Path) -> bytes:
    """What the example reads: sizes, then each part in the order of its use; little-endian."""
    found = initializers(model)
    positions, layers = found["positions"], sum(name.endswith(".attention_norm.gamma") for name in found)
    hidden = positions.shape[1]
    codes = found["words"].astype(np.float32).reshape(-1, hidden // BLOCK, BLOCK)
    words = (codes - found["words.zeros"].astype(np.float32)[..., None]) * found["words.scales"][..., None]
    sizes = struct.pack("<5I", len(words), len(positions), hidden, HEADS, layers)
    parts: list[bytes | np.ndarray] = [sizes, words.astype(np.float32), positions]

    def norm(name: str) -> None:
        parts.extend([found[f"{name}.gamma"], found[f"{name}.beta"]])

    def product(name: str) -> None:
        codes, scale = found[f"{name}.weight"], found.get(f"{name}.input_scale")
        parts.extend([struct.pack("<3I", *codes.shape, scale is not None), codes])
        parts.extend([found[f"{name}.scales"], found[f"{name}.bias"]])
        parts.extend([] if scale is None else [scale])

    norm("embedding_norm")
    for layer in range(layers):
        for name in ("qkv",) if layer + 1 < layers else ("query", "kv"):
            product(f"{layer}.{name}")
        product(f"{layer}.output")
        norm(f"{layer}.attention_norm")
        product(f"{layer}.intermediate")
        product(f"{layer}.down")
        norm(f"{layer}.output_norm")
    return b"".join(part if isinstance(part, bytes) else np.ascontiguousarray(part).tobytes() for part in parts)


def serve(model: Path) -> None:
    """ONNX Runtime behind the example's protocol: `time TOKENS RUNS`, or a line of token ids."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def run(ids: list[int]) -> np.ndarray:
        return session.run(None, {"input_ids": np.array([ids], np.int64)})[0][0]

    for line in sys.stdin:
        words = line.split()
        if words[0] != "time":
            print(run([int(word) for word in words]).astype(">f4").tobytes().hex(), flush=True)
            continue
        ids = [2000 + at * 7919 % 18000 for at in range(int(words[1]))]
        run(ids)
        times = []
        for _ in range(int(words[2])):
            start = time.thread_time()
            run(ids)
            times.append(f"{(time.thread_time() - start) * 1e3:.4f}")
        print(*times, flush=True)


def ask(program: subprocess.Popen[str], line: str) -> list[str]:
    program.stdin.write(line + "\n")
    program.stdin.flush()
    return program.stdout.readline().split()


def compare(programs: dict[str, subprocess.Popen[str]], rounds: int) -> None:
    """Prints milliseconds (the fastest round's median, the median of all) and the first program's over each other's."""
    medians: dict[tuple[str, int], list[float]] = {}
    for _ in range(rounds):
        for tokens in TOKENS:
            for name, program in programs.items():
                times = [float(word) for word in ask(program, f"time {tokens} {max(8, min(60, 2000 // tokens))}")]
                medians.setdefault((name, tokens), []).append(statistics.median(times))
    first = next(iter(programs))
    for name in programs:
        found = [medians[name, tokens] for tokens in TOKENS]
        ratios = [min(medians[first, tokens]) / min(medians[name, tokens]) for tokens in TOKENS]
        mean = math.prod(ratios) ** (1 / len(ratios))
        columns = [f"{min(each):8.2f} ({statistics.median(each):.2f})" for each in found]
        print(f"{name:14}", *columns, f"  x {mean:.2f}:", *(f"{ratio:.2f}" for ratio in ratios))


def fidelity(programs: dict[str, subprocess.Popen[str]], goldens: Path, tokenizer: Path) -> None:
    """Prints each program's cosines to float32 over the goldens' texts."""
    from tokenizers import Tokenizer

    entries = json.loads(goldens.read_text())["texts"]
    encoder = Tokenizer.from_file(str(tokenizer))
    encoder.no_padding()
    encoder.enable_truncation(512)
    exact = np.array([entry["vector"] for entry in entries])
    for name, program in programs.items():
        lines = (" ".join(map(str, encoder.encode(entry["text"]).ids)) for entry in entries)
        found = np.array([np.frombuffer(bytes.fromhex(ask(program, line)[0]), ">f4") for line in lines], np.float64)
        cosines = (found * exact).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(exact, axis=1)
        print(f"{name:14} {len(cosines)} texts, mean {cosines.mean():.6f}, smallest {cosines.min():.6f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.kernels", description=__doc__.split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--sets", nargs="+", default=["best"], help="instruction sets, by the crate's names")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fidelity", nargs=2, type=Path, metavar=("GOLDENS", "TOKENIZER"))
    options = parser.parse_args()
    if options.serve:
        return serve(options.model)
    file = Path("target/bench/encoder.weights")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(weights(options.model))
    commands = {"ONNX Runtime": [sys.executable, "-m", "tools.bench.kernels", str(options.model), "--serve"]}
    commands |= {name: ["target/release/examples/encoder", str(file), name] for name in options.sets}
    pipe = subprocess.PIPE
    programs = {
        name: subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for name, command in commands.items()
    }
    if options.fidelity:
        fidelity(programs, *options.fidelity)
    else:
        compare(programs, options.rounds)
    for program in programs.values():
        program.stdin.close()
        program.wait()


if __name__ == "__main__":
    main()
