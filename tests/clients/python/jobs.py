"""Answers each line of standard input, a job, with a line of standard output, its result."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Embedded:
    """One vector for each text, in the same order, and the indices of truncated texts, if the client shows them."""

    vectors: Iterable[Iterable[float]]
    truncated: list[int] | None = None


def answer(embed: Callable[[dict], Embedded]) -> None:
    """Gives every job to `embed`."""
    # Standard output is for results only, so a client's own log goes elsewhere.
    results, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        try:
            done = embed(json.loads(line))
            vectors = [[float(number) for number in vector] for vector in done.vectors]
            result = {"vectors": vectors, "truncated": done.truncated}
        except Exception as error:  # Clients raise many kinds of errors; each is a result.
            response = getattr(error, "response", None)
            status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
            result = {"error": type(error).__name__, "status": status, "message": str(error)}
        print(json.dumps(result), file=results, flush=True)
