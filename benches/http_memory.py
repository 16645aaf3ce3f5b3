"""Peak memory of one full request: `python -m benches.http_memory [MODEL]`.

2,048 texts of 45 tokens go to `bootstrap serve` in one request, as base64, because an answer in numbers would pass
Lambda's 6 MB. Bar: 200 MB resident at most (VmHWM), including the model's mapped weights.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.request

from tests.clients.harness import ROOT, Server
from tools.bench.report import machine

TEXTS, TOKENS, BAR_MEGABYTES = 2048, 45, 200
WORDS = "time year people way day man thing woman life child world school state family student group".split()


def post(url: str, body: dict) -> dict:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def main() -> int:
    model = sys.argv[1] if len(sys.argv) > 1 else "bge-small-en-v1.5"
    # 43 words of one token each, and the two special tokens; no two texts alike.
    texts = [" ".join(WORDS[(n >> k) % 16] for k in range(TOKENS - 2)) for n in range(TEXTS)]
    with Server(EMBED_MODEL_DIR=str(ROOT / "models" / model)) as server:
        post(server.url + "/embed", {"inputs": "hello"})
        idle = server.peak_megabytes()
        started = time.monotonic()
        answer = post(server.url + "/v1/embeddings", {"input": texts, "encoding_format": "base64"})
        seconds = time.monotonic() - started
        peak = server.peak_megabytes()
    counted = answer["usage"]["total_tokens"]
    assert (len(answer["data"]), counted) == (TEXTS, TEXTS * TOKENS), (len(answer["data"]), counted)
    print(f"{machine()}\n")
    print("| model | one text | 2,048 texts of 45 tokens | time | tokens a second |\n|---|---|---|---|---|")
    print(f"| {model} | {idle:.0f} MB | {peak:.0f} MB | {seconds:.1f} s | {counted / seconds:.0f} |")
    if peak >= BAR_MEGABYTES:
        print(f"peak memory is not below {BAR_MEGABYTES} MB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
