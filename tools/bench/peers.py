"""The programs that are compared, each a process that reads lists of texts and answers with seconds.

    one line of texts in -> {"seconds": what embedding them took, "first": the first one's vector}

All embed with bge-small-en-v1.5 on the same cores. Those that use ONNX Runtime use the same release (langchain4j the
newest one for Java). The run fails if a peer's first vector is not that model's. BENCH_WITHOUT=langchain4j,openvino
leaves peers out by the first word of their names; PYTORCH=yes includes sentence-transformers.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench.folders import CHECKPOINT, FLOAT32, FTE, OWN, STOCK
from tools.sources import BGE_SMALL

LIBRARY = Path("target/runtime") / platform.machine() / "libonnxruntime.so"
PEERS = Path("target/peers/release")
PYTHON = Path("target/bench/venv/bin/python")
PYTORCH = Path("target/bench/pytorch/bin/python")
LANGCHAIN4J = Path("target/bench/langchain4j")
# FastEmbed's tests pin the start of this text's vector.
FIRST = "hello world"
# How far a value of that vector may be from the pinned one: FastEmbed's own bound for float, and a wider one for int8.
FLOAT, INT8 = 1e-3, 2e-2


@dataclass(frozen=True)
class Peer:
    """A program's name in the tables, its command, and how near its vectors have to be."""

    name: str
    command: tuple[str, ...]
    tolerance: float


def _python(script: str, *arguments: object, venv: Path = PYTHON) -> tuple[str, ...]:
    return (str(venv), f"benches/peers/python/{script}.py", *map(str, arguments))


def _java(model: str) -> tuple[str, ...]:
    return ("java", "-cp", f"{LANGCHAIN4J}/classes:{LANGCHAIN4J}/lib/*", "Peer", model)


def _rust(program: str, folder: Path, number: int) -> tuple[str, ...]:
    return (str(PEERS / program), str(folder), str(number))


FASTEMBED_DEFAULT = Peer("FastEmbed, default batch", _python("use_fastembed", STOCK, 256), INT8)
FASTEMBED_BEST = Peer("FastEmbed, batch 1", _python("use_fastembed", STOCK, 1), INT8)
BARE_STOCK = Peer("bare loop, stock file", _rust("bare", STOCK, 2), INT8)
BARE_OWN = Peer("bare loop, our file", _rust("bare", OWN, 2), INT8)
PYTORCH_PEERS = (
    Peer("sentence-transformers, default batch", _python("use_pytorch", CHECKPOINT, 32, venv=PYTORCH), FLOAT),
    Peer("sentence-transformers, batch 1", _python("use_pytorch", CHECKPOINT, 1, venv=PYTORCH), FLOAT),
)
OTHERS = (
    Peer("fastembed-rs, default batch", _rust("fastembed-rs", STOCK, 256), INT8),
    Peer("fastembed-rs, batch 1", _rust("fastembed-rs", STOCK, 1), INT8),
    Peer("fasttextembed", _python("use_fasttextembed", FTE), FLOAT),
    Peer("OpenVINO, float32 file", _python("use_openvino", FLOAT32), INT8),  # it computes in bfloat16 where it can
    Peer("OpenVINO, stock file", _python("use_openvino", STOCK), INT8),
    Peer("langchain4j, float32 model", _java("float32"), FLOAT),
    Peer("langchain4j, stock file", _java("int8"), INT8),
)


def left_out() -> list[str]:
    """The peers that BENCH_WITHOUT names. Raises ValueError for any other name."""
    names = [name for name in os.environ.get("BENCH_WITHOUT", "").split(",") if name]
    known = {_first_word(peer) for peer in OTHERS}
    if unknown := set(names) - known:
        raise ValueError(f"BENCH_WITHOUT names {', '.join(unknown)}; peers are {', '.join(sorted(known))}")
    return names


def chosen() -> list[Peer]:
    """All peers but the bare loops, FastEmbed first."""
    without = left_out()
    pytorch = PYTORCH_PEERS if os.environ.get("PYTORCH") == "yes" else ()
    return [FASTEMBED_DEFAULT, FASTEMBED_BEST, *(p for p in OTHERS if _first_word(p) not in without), *pytorch]


def _first_word(peer: Peer) -> str:
    return peer.name.lower().replace(",", "").split()[0]


@dataclass(frozen=True)
class Done:
    """What a peer did: milliseconds from its start to its first vector, seconds for each list of texts,
    and megabytes at its peak."""

    first: float
    seconds: list[float]
    peak: float


def run(peer: Peer, lists: Sequence[Sequence[str]], cores: int = 2) -> Done:
    """Starts a peer, hands it `lists` one after another and ends it. Raises RuntimeError when it fails, or when its
    vectors are another model's."""
    environment = os.environ | {
        "ORT_DYLIB_PATH": str(LIBRARY.resolve()),
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "1",
        # Where langchain4j's tokenizer unpacks its library, instead of the home directory.
        "DJL_CACHE_DIR": str((LANGCHAIN4J / "cache").resolve()),
    }
    began = time.monotonic()
    with subprocess.Popen(
        [*pinned(cores), *peer.command],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _, vector = _ask(process, [FIRST])
            first = (time.monotonic() - began) * 1e3
            apart = max(abs(got - pinned) for got, pinned in zip(vector, BGE_SMALL.hello_world, strict=False))
            if apart > peer.tolerance:
                raise RuntimeError(f"{peer.name}: a value of its first vector is {apart:.4f} off the pinned one")
            seconds = [_ask(process, texts)[0] for texts in lists]
            return Done(first, seconds, peak_megabytes(process.pid))
        except (BrokenPipeError, json.JSONDecodeError) as error:
            process.kill()
            raise RuntimeError(f"{peer.name} ended: {process.stderr.read()[-2000:]}") from error
        finally:
            process.kill()


def _ask(process: subprocess.Popen, texts: Sequence[str]) -> tuple[float, list[float]]:
    process.stdin.write(json.dumps(texts) + "\n")
    process.stdin.flush()
    answer = json.loads(process.stdout.readline())
    return answer["seconds"], answer["first"]


def pinned(cores: int) -> list[str]:
    """The command that limits another to the first `cores` of this process's cores."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    return ["taskset", "--cpu-list", ",".join(map(str, chosen))]


def peak_megabytes(pid: int) -> float:
    """The process's largest resident set so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024
