"""Shows how far a download has come: one line that updates itself on a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

TERMINAL_SECONDS = 0.1
LOG_SECONDS = 10.0  # a log wants to know that something moves, not how smoothly


class Progress:
    """A context in which `advance` counts bytes. `total` is None where the server does not say."""

    def __init__(self, label: str, total: int | None, done: int = 0) -> None:
        self.label, self.total, self.done = label, total, done
        self.resumed = done
        self.started = self.shown = time.monotonic()
        self.on_terminal = sys.stderr.isatty()

    def __enter__(self) -> Self:
        if self.resumed:
            self._print(f"{self.label}: resuming at {_megabytes(self.resumed)}", final=True)
        return self

    def advance(self, count: int) -> None:
        """Counts bytes and shows the sum if it is time to."""
        self.done += count
        now = time.monotonic()
        if now - self.shown >= (TERMINAL_SECONDS if self.on_terminal else LOG_SECONDS):
            self.shown = now
            self._print(self._line())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._print(self._line(), final=True)

    def _line(self) -> str:
        whole = f" of {_megabytes(self.total)} ({self.done / max(self.total, 1):.0%})" if self.total else ""
        seconds = max(time.monotonic() - self.started, 1e-6)
        speed = _megabytes(int((self.done - self.resumed) / seconds))
        return f"{self.label}: {_megabytes(self.done)}{whole}, {speed}/s"

    def _print(self, line: str, final: bool = False) -> None:
        if self.on_terminal:
            print(f"\r\033[K{line}", end="\n" if final else "", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
