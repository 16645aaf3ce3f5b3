"""Runs a task's steps side by side: `python -m tools.steps --step TITLE COMMAND … --then TITLE`.

Each line of a step begins with the step's number, as `[2/4] `. If a step fails the others are stopped, and the last
lines of the failed one are printed once more, so that they end the output. Commands are run by `sh`.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from queue import SimpleQueue

# Lines of a failed step that are repeated.
REPEATED = 20


class Step:
    """A running command, whose lines are printed as they come."""

    def __init__(self, number: str, title: str, command: str, ended: SimpleQueue[Step]) -> None:
        self.number, self.title = number, title
        self.lines: deque[str] = deque(maxlen=REPEATED)
        self.status = 0
        print(f"[{number}] {title}", flush=True)
        self.started = time.monotonic()
        # A session of its own can be stopped with all its children. make's job server is an open file.
        self.process = subprocess.Popen(
            ["sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            close_fds=False,
        )
        threading.Thread(target=self._follow, args=[ended], daemon=True).start()

    def _follow(self, ended: SimpleQueue[Step]) -> None:
        for line in self.process.stdout:
            self.lines.append(line)
            sys.stdout.write(f"[{self.number}] {line.rstrip()}\n")
            sys.stdout.flush()
        self.status = self.process.wait()
        ended.put(self)

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)


def side_by_side(steps: list[tuple[str, str]], of: int) -> bool:
    """Runs the commands of `steps`, numbered as the first of `of`; whether all succeeded."""
    ended: SimpleQueue[Step] = SimpleQueue()
    running = [Step(f"{number}/{of}", *step, ended) for number, step in enumerate(steps, 1)]
    try:
        for _ in steps:
            step = ended.get()
            if step.status != 0:
                break
            print(f"[{step.number}] done in {time.monotonic() - step.started:.0f} s", flush=True)
    finally:
        # Also when the user interrupts.
        for other in running:
            other.stop()
    if step.status != 0:
        print(f"\nstep {step.number}, to {step.title}, failed; its last lines:\n{''.join(step.lines)}", end="", flush=True)
    return step.status == 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.steps", description=__doc__.split("\n")[0])
    pair = {"nargs": 2, "metavar": ("TITLE", "COMMAND")}
    parser.add_argument("--step", action="append", required=True, help="a step that runs beside the others", **pair)
    parser.add_argument("--then", metavar="TITLE", help="the step that the caller takes next; it is counted and announced")
    options = parser.parse_args()
    of = len(options.step) + bool(options.then)
    if not side_by_side([tuple(step) for step in options.step], of):
        return 1
    if options.then:
        print(f"[{of}/{of}] {options.then}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
