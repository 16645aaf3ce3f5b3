"""`make local`: every sample event through `sam local invoke`, then the API on a local port.

    sam build (done) -> base image -> sam local invoke each of events/ -> sam local start-api

The exit status of `sam local invoke` says nothing about the function, so its output is read.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from tools import engine
from tools.invoke import readable

FUNCTION = "EmbedFunction"
NO_ENGINE = 3


class Failed(Exception):
    """The function gave no answer, or an error; the message carries what SAM printed."""


def invoke(sam: Path, event: Path, *options: str, environment: dict[str, str] | None = None) -> object:
    """What the function answers to the file's event. Raises Failed."""
    command = [str(sam), "local", "invoke", FUNCTION, "--event", str(event), *options]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    answer = _answer(ran.stdout)
    if answer is None or (isinstance(answer, dict) and "errorType" in answer):
        raise Failed(f"{event}: {ran.stdout}\n{ran.stderr}")
    return answer


def _answer(printed: str) -> object | None:
    """The function's answer, which SAM prints last and without a line of its own for anything else."""
    for line in reversed(printed.strip().splitlines()):
        try:
            return json.loads(line)
        except ValueError:
            continue
    return None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.sam_local", description=__doc__.split("\n")[0])
    parser.add_argument("--sam", type=Path, required=True, help="the SAM CLI")
    parser.add_argument("--port", default="3000", help="default: %(default)s")
    parser.add_argument("events", type=Path, nargs="*")
    options = parser.parse_args()

    if not engine.answers():
        return NO_ENGINE
    subprocess.run([sys.executable, "-m", "tools.base_image"], check=True)
    try:
        for event in options.events:
            answer = invoke(options.sam, event)
            print(f"{event}: {json.dumps(readable(answer), ensure_ascii=False)[:160]}", flush=True)
    except Failed as error:
        print(f"tools.sam_local: {error}", file=sys.stderr)
        return 1
    os.execv(options.sam, [str(options.sam), "local", "start-api", "--port", options.port])


if __name__ == "__main__":
    sys.exit(main())
