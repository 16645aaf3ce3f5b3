"""Shared by all peers in Python: lists of texts in, seconds out; `tools/bench/peers.py` has the other end.

    a JSON list of texts, one line  ->  {"seconds": what embedding them took, "first": the first one's vector}
"""

import json
import sys
import time
from collections.abc import Callable, Sequence


def serve(embed: Callable[[Sequence[str]], Sequence[Sequence[float]]]) -> None:
    """Answers every line of standard input; `embed` gives a vector for each text, in order."""
    for line in sys.stdin:
        texts = json.loads(line)
        started = time.perf_counter()
        vectors = embed(texts)
        seconds = time.perf_counter() - started
        assert len(vectors) == len(texts)
        print(json.dumps({"seconds": seconds, "first": [float(value) for value in vectors[0]]}), flush=True)
