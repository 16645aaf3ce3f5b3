"""Answers each line of standard input, a job, with a line of standard output, its result."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable


def answer(embed: Callable[[dict], Iterable[Iterable[float]]]) -> None:
    """Gives every job to `embed`, which returns one vector for each text, in the same order."""
    # Standard output is for results only, so a client's own log goes elsewhere.
    results, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        try:
            result = {"vectors": [[float(number) for number in vector] for vector in embed(json.loads(line))]}
        except Exception as error:  # Clients raise many kinds of errors; each is a result.
            response = getattr(error, "response", None)
            status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
            result = {"error": type(error).__name__, "status": status, "message": str(error)}
        print(json.dumps(result), file=results, flush=True)
