"""The README's other way to run the function: cargo-lambda's emulator of Lambda, and `cargo lambda invoke`.

By default `cargo lambda watch` builds the function, starts it beside the emulator, and starts it again after an edit.
Here it starts only the emulator, and the test starts the existing binary with the variables that the emulator needs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
import unittest

from tests import parts
from tests.docs.commands import ROOT

TOOLS = ROOT / "target/packaging/bin"
BOOTSTRAP = ROOT / "target/release/bootstrap"
EVENT = ROOT / "events/direct-tei.json"
SECONDS = 60


class CargoLambda(unittest.TestCase):
    def setUp(self) -> None:
        parts.require(self, "cargo-lambda")
        model = ROOT / "models" / (ROOT / "target/local-model").read_text().strip()
        self.environment = {
            **os.environ,
            "EMBED_ORT_LIB": str(ROOT / f"target/runtime/{os.uname().machine}/libonnxruntime.so"),
            "EMBED_MODEL_DIR": str(model),
            "PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}",
        }
        self.log = self.enterContext(tempfile.TemporaryFile(mode="w+"))

    def test_watch_runs_the_function_and_invoke_asks_it(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        place = ["--invoke-address", "127.0.0.1", "--invoke-port", port]
        self.start(["cargo-lambda", "lambda", "watch", "--only-lambda-apis", *place], self.environment)
        self.listens(int(port))
        named = {
            "AWS_LAMBDA_RUNTIME_API": f"http://127.0.0.1:{port}/.rt",
            "AWS_LAMBDA_FUNCTION_NAME": "_",
            "AWS_LAMBDA_FUNCTION_VERSION": "1",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "4096",
        }
        self.start([BOOTSTRAP], {**self.environment, **named})
        invoke = ["cargo-lambda", "lambda", "invoke", *place, "--data-file", EVENT]
        asked = subprocess.run(
            invoke, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        self.log.seek(0)
        self.assertEqual(asked.returncode, 0, asked.stderr + self.log.read()[-2000:])
        plain = subprocess.run(
            [BOOTSTRAP, "invoke", EVENT], env=self.environment, capture_output=True, text=True, check=True
        )
        self.assertEqual(json.loads(asked.stdout)["embeddings"], json.loads(plain.stdout)["embeddings"])

    def start(self, command: list, environment: dict[str, str]) -> None:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self.log, stderr=self.log)
        self.addCleanup(stop, process)

    def listens(self, port: int) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                self.assertLess(time.monotonic(), deadline, "cargo lambda watch does not listen")
                time.sleep(0.1)


def stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    unittest.main()
