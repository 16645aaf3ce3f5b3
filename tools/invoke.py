"""Answers one event with the real binary behind AWS's Runtime Interface Emulator.

    event file -> emulator (loopback) -> bootstrap -> response, printed for reading

For an S3 event the tests' S3 server has the document, and the document's vectors are printed after the response.
The function's folder has the layout of an unpacked package: bootstrap, lib/, model/. The emulator starts the binary on
the first call, so the init time comes from the emulator's own log.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from tools.buckets import KEY, Buckets, concerns

# Not target/lambda, where cargo-lambda has folders of its own.
FOLDER = Path("target/function")
EMULATOR = Path("target/emulator/aws-lambda-rie")
INVOCATIONS = "/2015-03-31/functions/function/invocations"
TIMEOUT_SECONDS = 60
# The emulator silently cuts off longer events.
LONGEST_EVENT = 6_291_556
SHOWN_VALUES = 5
SHOWN_TEXT = 2_000


def lay_out(binary: Path, runtime: Path, model: Path) -> Path:
    """Makes a folder with the layout of an unpacked package.

    The binary is copied, because it looks beside its own file; folders may be links.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "bootstrap").unlink(missing_ok=True)
    shutil.copy2(binary, FOLDER / "bootstrap")
    for name, target in {"lib": runtime, "model": model}.items():
        link = FOLDER / name
        link.unlink(missing_ok=True)
        link.symlink_to(target.resolve())
    return FOLDER


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Emulator:
    """A running emulator; use it in a `with` block, which ends it."""

    def __init__(self, folder: Path, log: Path, further: Mapping[str, str]) -> None:
        port, runtime_api = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}{INVOCATIONS}"
        self.log = log
        environment = {
            "AWS_LAMBDA_FUNCTION_NAME": "lambda-embed",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(TIMEOUT_SECONDS),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_HANDLER": "bootstrap",
            "AWS_REGION": "us-east-1",
            "LAMBDA_TASK_ROOT": str(folder.resolve()),
            "PATH": "/usr/bin:/bin",
            **further,
        }
        command = [str(EMULATOR.resolve()), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{runtime_api}", "./bootstrap"]
        with log.open("wb") as sink:
            self.process = subprocess.Popen(command, cwd=folder, env=environment, stdout=sink, stderr=sink)
        self._wait(port)

    def _wait(self, port: int) -> None:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.01)
        self.process.kill()
        raise RuntimeError(f"the emulator did not start; its log is {self.log}")

    def invoke(self, event: bytes) -> tuple[bytes, float]:
        """The response's bytes and the call's seconds, the first call's with init."""
        request = urllib.request.Request(self.url, data=event, method="POST")
        started = time.perf_counter()
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                return response.read(), time.perf_counter() - started
        except urllib.error.HTTPError as failure:
            # The function did not start; the emulator's body says why.
            return failure.read() or b"{}", time.perf_counter() - started

    def init_milliseconds(self) -> float | None:
        found = re.search(r"INIT REPORT\(durationMs: ([0-9.]+)\)", self.log.read_text(errors="replace"))
        return float(found[1]) if found else None

    def __enter__(self) -> Emulator:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def readable(value: object) -> object:
    """`value` with its long vectors and texts shortened for a reader."""
    if isinstance(value, dict):
        return {key: readable(item) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) > SHOWN_VALUES and all(isinstance(item, float) for item in value):
            shown = ", ".join(f"{item:.6f}" for item in value[:SHOWN_VALUES])
            return f"[{shown}, … {len(value)} values]"
        return [readable(item) for item in value]
    if isinstance(value, str):
        try:
            return readable(json.loads(value)) if value[:1] in ("{", "[") else value[:SHOWN_TEXT]
        except ValueError:
            return value[:SHOWN_TEXT]
    return value


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.invoke", description=__doc__.split("\n")[0])
    parser.add_argument("event", type=Path, help="a file with the event's JSON")
    parser.add_argument("--binary", type=Path, default=Path("target/release/bootstrap"), help="default: %(default)s")
    parser.add_argument("--runtime", type=Path, required=True, help="folder with libonnxruntime.so")
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    options = parser.parse_args()

    event = options.event.read_bytes()
    if len(event) > LONGEST_EVENT:
        print(f"tools.invoke: {options.event} has {len(event)} bytes, the emulator takes {LONGEST_EVENT}", file=sys.stderr)
        return 1
    folder = lay_out(options.binary, options.runtime, options.model)
    with contextlib.ExitStack() as stack:
        buckets = stack.enter_context(Buckets()) if concerns(json.loads(event)) else None
        environment = buckets.environment() if buckets else {}
        emulator = stack.enter_context(Emulator(folder, Path("target/emulator.log"), environment))
        response, _ = emulator.invoke(event)
        init = emulator.init_milliseconds()
        # The first call contains the start; the second shows the time of a call alone.
        _, seconds = emulator.invoke(event)
        records = buckets.result() if buckets else []
    answer = json.loads(response)
    print(json.dumps(readable(answer), indent=2, ensure_ascii=False))
    if records:
        print(f"\n{len(records)} records of {KEY}, the first of them:")
        print(json.dumps(readable(records[0]), indent=2, ensure_ascii=False))
    print(f"\ninit {'not reported' if init is None else f'{init:.0f} ms'}, call {seconds * 1e3:.1f} ms")
    if isinstance(answer, dict) and "errorType" in answer:
        print(f"the invocation failed; the log is {emulator.log}", file=sys.stderr)
        return 1
    if buckets and b"getting" in event and not records:
        print(f"the event tells of {KEY}, and it has no vectors; the log is {emulator.log}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
