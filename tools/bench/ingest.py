"""Documents from a bucket to their vectors: `make bench-ingest` prints the table and writes target/bench/ingest.json.

    documents  of 45 to 2,000 tokens, in a bucket on loopback
    ways in    a queue's batches of ten, and S3 Batch Operations' tasks of one
    own speed  the same chunks, sent to the same function as texts: the embedder's own speed
    batches    the shortest documents, from 1 to 1,000 of them in one batch of the queue
    stores     the same documents as files, as points of a dense collection in Qdrant, and of a hybrid one

All of it in one run, round by round, on one core; the bucket is served on another, and Qdrant's engine, behind the
tests' REST routes, which are Python's. The figures do not contain the time of S3 and the network, because they answer
while other documents are embedded. A bar that is missed is printed as missed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from tools.bench import corpora, cost
from tools.bench.folders import OWN
from tools.bench.report import machine, median, table, write
from tools.bench.start import MEGABYTES_PER_CPU, Start, event, start

SOURCE, OUTPUT = "documents", "vectors"
# Tokens of a document without the special tokens of its chunks, and the number of documents, so that each size takes
# some seconds.
SIZES = {45: 600, 200: 200, 500: 80, 1000: 40, 2000: 20}
# For the stores, tokens of a document (less than a chunk, and several chunks) and the number of documents: Qdrant makes
# each of them durable before it answers.
STORED = {45: 50, 500: 30}
# Messages in one batch, for documents of this many tokens; Lambda passes at most 6 MB to a function in one event.
BATCH_SIZES = (1, 10, 100, 1000)
BATCH_TOKENS = 45
# The stores, with the function's variables. Files come first, because the others are counted against them.
DENSE = "Qdrant, dense"
STORES: dict[str, dict[str, str]] = {
    "files": {},
    DENSE: {"EMBED_SINK": "qdrant"},
    "Qdrant, hybrid": {"EMBED_SINK": "qdrant", "EMBED_QDRANT_HYBRID": "on"},
}
# Messages in a queue's batch: the event source mapping's default, and the template's.
BATCH = 10
BAR = 0.90
# Texts in one request of the embedder's own speed; its answer stays below Lambda's 6 MB.
REQUEST = 100


def document(rng: random.Random, words: int) -> str:
    """A document of this many words, in sentences and paragraphs."""
    sentences = []
    while words > 0:
        length = min(rng.randint(8, 24), words)
        sentences.append(corpora.text(rng, length - 1 or 1).capitalize() + ".")
        words -= length
    ends = [rng.choice([" ", " ", " ", " ", "\n\n"]) for _ in sentences]
    return "".join(sentence + end for sentence, end in zip(sentences, ends, strict=True)).strip()


class Server:
    """A server on the last core, which prints its address and ends with its standard input; for a `with` block."""

    command: Sequence[str]

    def __enter__(self) -> Self:
        cores = sorted(os.sched_getaffinity(0))
        pin = ["taskset", "-c", str(cores[-1])]
        self.process = subprocess.Popen([*pin, *self.command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.address = self.process.stdout.readline().strip()
        self.connection = http.client.HTTPConnection(self.address)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=10)

    def ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "text/plain") -> bytes:
        self.connection.request(method, path, body, {"content-type": content_type})
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status}")
        return content


class Bucket(Server):
    command = (sys.executable, "-m", "tools.bench.bucket")


class Qdrant(Server):
    """The tests' Qdrant: its engine behind REST."""

    command = ("target/qdrant-server/bin/python", "tests/qdrant/serve.py")

    def points(self, collection: str) -> int:
        counted = self.ask("POST", f"/collections/{collection}/points/count", b'{"exact": true}', "application/json")
        return int(json.loads(counted)["result"]["count"])


def record(key: str) -> dict[str, object]:
    """S3's record of a new object."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "us-east-1",
        "eventTime": "2026-01-15T09:30:00.000Z",
        "eventName": "ObjectCreated:Put",
        "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": SOURCE}, "object": {"key": key}},
    }


def queued(keys: Sequence[str]) -> bytes:
    """A queue's batch, a message a document."""
    messages = [
        {
            "messageId": key,
            "receiptHandle": key,
            "body": json.dumps({"Records": [record(key)]}),
            "attributes": {"ApproximateReceiveCount": "1"},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:111122223333:documents",
            "awsRegion": "us-east-1",
        }
        for key in keys
    ]
    return json.dumps({"Records": messages}).encode()


def task(key: str) -> bytes:
    """S3 Batch Operations' one task."""
    tasks = [{"taskId": key, "s3Key": key, "s3VersionId": None, "s3BucketArn": f"arn:aws:s3:::{SOURCE}"}]
    return json.dumps(
        {"invocationSchemaVersion": "1.0", "invocationId": "i", "job": {"id": "j"}, "tasks": tasks}
    ).encode()


def run(bucket: Bucket, events: Sequence[bytes], name: str, further: Mapping[str, str] = {}) -> Start:
    """The function, answering `events`; the results lie below `name`. `further` variables may name another store."""
    variables = {
        "EMBED_OUTPUT": f"s3://{OUTPUT}/{name}",
        "AWS_ENDPOINT_URL_S3": f"http://{bucket.address}",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "EMBED_LOG": "warn",
        **further,
    }
    return start(OWN, events, cores=1, variables=variables)


def results(bucket: Bucket, keys: Sequence[str], name: str) -> list[dict[str, object]]:
    """Every record of every document. Raises RuntimeError for one that has none."""
    lines = (bucket.ask("GET", f"/{OUTPUT}/{name}/{SOURCE}/{key}.jsonl") for key in keys)
    return [json.loads(line) for content in lines for line in content.splitlines()]


def seconds(found: Start) -> float:
    """The seconds of all calls except the first, which opens connections."""
    return sum(found.calls[1:]) / 1e3


def uploaded(bucket: Bucket, size: int, count: int) -> tuple[Sequence[str], Sequence[str]]:
    """Puts documents of `size` tokens into the bucket: the keys of the first batch, and of `count` further ones."""
    rng = random.Random(corpora.SEED + size)
    keys = [f"{size}/{number}.txt" for number in range(count + BATCH)]
    for key in keys:
        bucket.ask("PUT", f"/{SOURCE}/{key}", document(rng, size).encode())
    return keys[:BATCH], keys[BATCH:]


def batches(first: Sequence[str], rest: Sequence[str], size: int = BATCH) -> list[bytes]:
    """The queue's events: one of the documents that open connections, then the others, `size` in each."""
    return [queued(first), *(queued(rest[at : at + size]) for at in range(0, len(rest), size))]


def own_speed(windows: Sequence[Mapping[str, object]]) -> float:
    """The seconds in which the same function embeds the texts of these chunks."""
    texts = [str(window["text"]) for window in windows]
    requests = [texts[at : at + REQUEST] for at in range(0, len(texts), REQUEST)]
    return seconds(start(OWN, [event(texts[:1]), *map(event, requests)], cores=1))


def progress(text: str) -> None:
    print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def stores(bucket: Bucket, qdrant: Qdrant, size: int, count: int, rounds: int) -> list[dict[str, object]]:
    """A row for each store: the same documents of `size` tokens. Ratios are medians over rounds.

    Raises RuntimeError for a collection that has not a point for every chunk.
    """
    first, rest = uploaded(bucket, size, count)
    took: dict[str, list[float]] = {store: [] for store in STORES}
    peaks: dict[str, list[float]] = {store: [] for store in STORES}
    windows: list[dict[str, object]] = []
    for number in range(rounds):
        for index, (store, variables) in enumerate(STORES.items()):
            progress(f"{store}, {size} tokens, round {number + 1} of {rounds}")
            name = f"store-{size}-{index}-{number}"
            qdrants = {"EMBED_QDRANT_URL": f"http://{qdrant.address}", "EMBED_QDRANT_COLLECTION": name}
            found = run(bucket, batches(first, rest), name, variables | qdrants if variables else {})
            took[store].append(seconds(found))
            peaks[store].append(found.peak)
            if not variables:
                windows = results(bucket, [*first, *rest], name)
            elif (points := qdrant.points(name)) != len(windows):
                raise RuntimeError(f"{store}: {points} points of {len(windows)} chunks")
    tokens = sum(int(str(window["tokens"])) for window in windows if str(window["key"]) in set(rest))
    dense = took[DENSE]
    return [
        {
            "tokens of a document": size,
            "store": store,
            "documents/s": count / median(times),
            "tokens/s": round(tokens / median(times)),
            "time beside dense": f"{median([ours / theirs for ours, theirs in zip(times, dense, strict=True)]):.2f}",
            "peak, MB": round(max(peaks[store])),
        }
        for store, times in took.items()
    ]


def measure(bucket: Bucket, size: int, count: int, rounds: int) -> dict[str, object]:
    """One row: documents of `size` tokens in both ways and as plain texts; ratios are medians over rounds."""
    first, rest = uploaded(bucket, size, count)
    queue, single, bare, peaks, windows = [], [], [], [], []
    for number in range(rounds):
        progress(f"{size} tokens, round {number + 1} of {rounds}")
        found = run(bucket, batches(first, rest), f"queue-{number}")
        queue.append(seconds(found))
        peaks.append(found.peak)
        windows = results(bucket, rest, f"queue-{number}")
        single.append(seconds(run(bucket, [task(first[0]), *map(task, rest)], f"batch-{number}")))
        bare.append(own_speed(windows))
    tokens = sum(int(str(window["tokens"])) for window in windows)
    took = median(queue)
    return {
        "tokens of a document": size,
        "windows": len(windows) / count,
        "documents/s": count / took,
        "tokens/s": round(tokens / took),
        "of the embedder's own": median([own / ours for own, ours in zip(bare, queue, strict=True)]),
        "one a call": median([own / ours for own, ours in zip(bare, single, strict=True)]),
        "ms a call of one": median(single) / count * 1e3,
        "peak, MB": round(max(peaks)),
        "GB-seconds a million tokens": took / tokens * 1e6 * MEGABYTES_PER_CPU / 1024,
    }


def batch_sizes(bucket: Bucket, rounds: int) -> list[dict[str, object]]:
    """A row for each size of a batch: the same documents of BATCH_TOKENS tokens. Ratios are medians over rounds."""
    count = max(BATCH_SIZES)
    first, rest = uploaded(bucket, BATCH_TOKENS, count)
    took: dict[int, list[float]] = {size: [] for size in BATCH_SIZES}
    peaks: dict[int, list[float]] = {size: [] for size in BATCH_SIZES}
    bare = []
    for number in range(rounds):
        for size in BATCH_SIZES:
            progress(f"batches of {size}, {BATCH_TOKENS} tokens, round {number + 1} of {rounds}")
            found = run(bucket, batches(first, rest, size), f"messages-{size}-{number}")
            took[size].append(seconds(found))
            peaks[size].append(found.peak)
        bare.append(own_speed(results(bucket, rest, f"messages-{BATCH_SIZES[0]}-{number}")))
    return [
        {
            "messages": size,
            "event, KB": round(len(queued(rest[:size])) / 1e3),
            "documents/s": count / median(times),
            "of the embedder's own": f"{median([own / ours for own, ours in zip(bare, times, strict=True)]):.2f}",
            "ms a call": median(times) / count * size * 1e3,
            "peak, MB": round(max(peaks[size])),
        }
        for size, times in took.items()
    ]


def verdicts(rows: Sequence[Mapping[str, object]]) -> list[str]:
    """A line for each size: its share of the embedder's own speed against the bar, and its price."""
    price = cost.PRICE["x86_64"]
    lines = []
    for row in rows:
        share, size = float(str(row["of the embedder's own"])), row["tokens of a document"]
        verdict = "met   " if share >= BAR else "MISSED"
        dollars = float(str(row["GB-seconds a million tokens"])) * price
        lines.append(
            f"{verdict} {share:.2f} of the embedder's own speed at {size} tokens, bar {BAR:.2f}; ${dollars:.3f} a million tokens"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.ingest", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    options = parser.parse_args()
    with Bucket() as bucket, Qdrant() as qdrant:
        rows = [measure(bucket, size, count, options.rounds) for size, count in SIZES.items()]
        batched = batch_sizes(bucket, options.rounds)
        stored = [row for size, count in STORED.items() for row in stores(bucket, qdrant, size, count, options.rounds)]
    print(file=sys.stderr)
    shown = [
        {name: f"{value:.2f}" if "own" in name or "one a" in name else value for name, value in row.items()}
        for row in rows
    ]
    print(f"{machine()}\n\n{table(shown)}\n\n{table(batched)}\n\n{table(stored)}")
    lines = verdicts(rows)
    print("\n" + "\n".join(lines))
    write(Path("target/bench/ingest.json"), {"rows": rows, "bars": lines, "batches": batched, "stores": stored})
    return 0


if __name__ == "__main__":
    sys.exit(main())
