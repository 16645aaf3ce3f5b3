"""Measures retrieval on a benchmark in BEIR's form: bge-small in float32, our int8 file and the stock int8 file.

    python -m tools.retrieval FOLDER --runtime target/runtime/x86_64

    texts -> `bootstrap serve` on loopback, one model after the other -> vectors -> nDCG@10, recall@100

So the function itself does everything: tokens, the instruction before queries, the cut at 512 tokens. Documents'
vectors are kept in target/retrieval/ under the hashes of the model's manifest and of the texts, batch by batch, so an
interrupted run goes on where it stopped. Kept vectors are used if the binary still computes the first of them to the
bit; otherwise all are computed again.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import platform
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from tools import beir, fetch, manifest, ranking
from tools.integrity import IntegrityError
from tools.manifest import STOCK_MODEL, TOKENIZER, Card
from tools.sources import BGE_SMALL
from tools.weights import Array

OURS = Path("models") / BGE_SMALL.id
KEPT = Path("target/retrieval")
BATCH = 32  # texts in a request
CHECKED = 8  # kept vectors that are computed again, to check that they are still right
TIMEOUT_SECONDS = 300


class EmbedderFailed(Exception):
    """The binary did not start or did not answer; the message has its output."""


def models() -> dict[str, Path]:
    """The model folders to compare, by their names in the table. Raises as `fetch.fetch` does."""
    files = fetch.fetch(BGE_SMALL)
    float32 = Card(
        id=f"{BGE_SMALL.id}-float32",
        name=BGE_SMALL.name,
        revision=BGE_SMALL.revision,
        license=BGE_SMALL.license,
        dimensions=BGE_SMALL.config["hidden_size"],
        max_tokens=BGE_SMALL.max_tokens,
        pooling=BGE_SMALL.pooling,
        query_prefix=BGE_SMALL.query_prefix,
        passage_prefix=BGE_SMALL.passage_prefix,
        quantization="none",
        recipe="the hub's own export",
    )
    described = "7-bit int8 weights per channel"
    stock = replace(float32, id=f"{BGE_SMALL.id}-stock-int8", quantization=described, recipe="Xenova's")
    return {
        "float32": _folder(float32, files / STOCK_MODEL, files / TOKENIZER),
        "ours, int8": OURS,
        "stock int8": _folder(stock, fetch.stock_int8(), files / TOKENIZER),
    }


def _folder(card: Card, graph: Path, tokenizer: Path) -> Path:
    """A model folder of links to these files, with a manifest."""
    folder = KEPT / "models" / card.id
    folder.mkdir(parents=True, exist_ok=True)
    for name, file in {STOCK_MODEL: graph, TOKENIZER: tokenizer}.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(file.resolve())
    manifest.write(folder, card, model=STOCK_MODEL)
    return folder


class Embedder:
    """A running `bootstrap serve`."""

    def __init__(self, address: str) -> None:
        self.url = f"{address}/v1/embeddings"

    def embed(self, texts: Sequence[str], input_type: str) -> Array:
        """Unit vectors [texts, dimensions], float32. Raises EmbedderFailed."""
        return np.concatenate(list(self.batches(texts, input_type)))

    def batches(self, texts: Sequence[str], input_type: str) -> Iterator[Array]:
        """The same, batch by batch."""
        for start in range(0, len(texts), BATCH):
            yield self._answer(texts[start : start + BATCH], input_type)

    def _answer(self, texts: Sequence[str], input_type: str) -> Array:
        body = {"input": texts, "input_type": input_type, "encoding_format": "base64"}
        request = urllib.request.Request(
            self.url, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                data = json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise EmbedderFailed(f"{self.url} answered {error.code}: {error.read().decode()}") from error
        except OSError as error:
            raise EmbedderFailed(f"{self.url} did not answer: {error}") from error
        return np.stack([np.frombuffer(base64.b64decode(item["embedding"]), "<f4") for item in data])


@contextmanager
def serving(binary: Path, library: Path, model: Path) -> Iterator[Embedder]:
    """The binary with a model, until the block ends. Raises EmbedderFailed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EMBED_")}
    environment |= {"EMBED_MODEL_DIR": str(model), "EMBED_ORT_LIB": str(library), "EMBED_LOG": "error"}
    command = [str(binary), "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            told = server.stdout.readline().split()
            address = next((word for word in told if word.startswith("http://")), None)
            if address is None:
                raise EmbedderFailed(f"{binary} did not start with {model}")
            yield Embedder(address)
        finally:
            server.terminate()


def documents(embedder: Embedder, texts: Sequence[str], kept: Path, label: str) -> Array:
    """Unit vectors [texts, dimensions]: those in the file `kept` that are still right, and new ones, which are added.

    The file has vector after vector in little-endian float32. A progress bar named `label` shows the state.
    """
    first = embedder.embed(texts[:CHECKED], "passage")
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.open("ab") as file:
        done = _holding(kept, first)
        file.truncate(done * first[0].nbytes)
        with tqdm(total=len(texts), initial=done, desc=label, unit=" texts") as bar:
            for vectors in embedder.batches(texts[done:], "passage"):
                file.write(vectors.tobytes())
                file.flush()
                bar.update(len(vectors))
    return np.fromfile(kept, "<f4").reshape(len(texts), -1)


def _holding(kept: Path, first: Array) -> int:
    """The number of complete vectors in the file; 0 if it does not begin with `first`."""
    width = first.shape[1]
    values = np.fromfile(kept, "<f4")
    vectors = values[: len(values) // width * width].reshape(-1, width)
    return len(vectors) if np.array_equal(vectors[:CHECKED], first[: len(vectors)]) else 0


def place(benchmark: beir.Benchmark, model: Path) -> Path:
    """The file for this model's vectors of these documents."""
    texts = hashlib.sha256(json.dumps(list(benchmark.documents.values())).encode()).hexdigest()
    stated = hashlib.sha256((model / manifest.NAME).read_bytes()).hexdigest()
    return KEPT / benchmark.name / f"{stated[:16]}-{texts[:16]}.f32"


def score(benchmark: beir.Benchmark, queries: Array, found: Array) -> Array:
    """nDCG@10 and recall@100 [2, queries] by vectors of the benchmark's queries and documents."""
    hits = ranking.search(queries, found, list(benchmark.documents))
    pairs = [(hit, query.grades) for hit, query in zip(hits, benchmark.queries, strict=True)]
    return np.array([[measure(*pair) for pair in pairs] for measure in (ranking.ndcg, ranking.recall)])


def table(scores: Mapping[str, Array]) -> list[str]:
    """Means over the queries; each model's nDCG@10 minus the first one's, with the difference's standard error."""
    lines = ["| model | nDCG@10 | recall@100 | difference in nDCG@10 |", "|---|---|---|---|"]
    first = next(iter(scores.values()))
    for name, (ndcg, recall) in scores.items():
        off = ndcg - first[0]
        error = off.std(ddof=1) / np.sqrt(len(off)) if len(off) > 1 else np.nan
        difference = f"{off.mean():+.4f} ± {error:.4f}" if len(lines) > 2 else "-"
        lines.append(f"| {name} | {ndcg.mean():.4f} | {recall.mean():.4f} | {difference} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.retrieval", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="corpus.jsonl, queries.jsonl, qrels/test.tsv")
    parser.add_argument("--binary", type=Path, default=Path("target/release/bootstrap"), help="default: %(default)s")
    runtime = Path("target/runtime") / platform.machine()
    parser.add_argument("--runtime", type=Path, default=runtime, help="default: %(default)s")
    options = parser.parse_args()
    try:
        benchmark = beir.read(options.folder)
        texts = list(benchmark.documents.values())
        scores = {}
        for name, model in models().items():
            with serving(options.binary, options.runtime / "libonnxruntime.so", model) as embedder:
                found = documents(embedder, texts, place(benchmark, model), f"{benchmark.name}, {name}")
                queries = embedder.embed([query.text for query in benchmark.queries], "query")
            scores[name] = score(benchmark, queries, found)
    except (beir.BadFolder, EmbedderFailed, IntegrityError, fetch.SourceUnavailable) as error:
        print(f"tools.retrieval: {error}", file=sys.stderr)
        return 1
    judged = sum(len(query.grades) for query in benchmark.queries)
    left_out = f"; {benchmark.left_out} without a relevant document left out" if benchmark.left_out else ""
    counts = f"{len(texts):,} documents, {len(benchmark.queries):,} queries, {judged:,} relevant pairs{left_out}"
    print(f"\n{benchmark.name}: {counts}", "", *table(scores), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
