"""Shared by the client tests: the server under test, and the vectors of a direct invocation."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import unittest
from array import array
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = ROOT / "target/release/bootstrap"
MACHINE = {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
LIBRARY = ROOT / "target/runtime" / MACHINE / "libonnxruntime.so"
FIXTURE = ROOT / "models/fixture"

# The texts that every client embeds: plain, with letters beyond ASCII, and longer than the fixture's 64 tokens.
TEXTS = ["hello world", "Ærlig talt: 東京 🦀", "the quick brown fox jumps over the lazy dog " * 12]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without our and AWS's variables, plus the fixture's variables and `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EMBED_", "AWS_"))}
    return {**kept, "EMBED_MODEL_DIR": str(FIXTURE), "EMBED_ORT_LIB": str(LIBRARY), **variables}


class Server:
    """`bootstrap serve` on a free port of the loopback interface, ended by `stop`."""

    def __init__(self, **variables: str) -> None:
        # A file, because the server would wait once its log has filled a pipe that nobody reads.
        self.log = tempfile.TemporaryFile("w+")
        command = [BINARY, "serve", "--port", "0"]
        self.process = subprocess.Popen(
            command, env=environment(**variables), stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        line = self.process.stdout.readline()
        if "http://" not in line:
            self.process.wait(timeout=10)
            self.log.seek(0)
            raise RuntimeError(f"the server did not start: {self.log.read()}")
        self.url = line.split()[2]

    def peak_megabytes(self) -> float:
        """The server's peak of resident memory, in units of 10^6 bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=10)
        self.log.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def invoked(body: dict) -> list[list[float]]:
    """The vectors of a direct invocation of the same binary."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as event:
        json.dump(body, event)
        event.flush()
        done = subprocess.run([BINARY, "invoke", event.name], env=environment(), check=True, capture_output=True)
    return float32(json.loads(done.stdout)["embeddings"])


def float32(vectors: list[list[float]]) -> list[list[float]]:
    """The same numbers, rounded to float32."""
    return [array("f", vector).tolist() for vector in vectors]


class ServedCase(unittest.TestCase):
    """A test case with one server for all of its tests."""

    variables: dict[str, str] = {}

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = Server(**cls.variables)
        cls.addClassCleanup(cls.server.stop)
        cls.url = cls.server.url
