"""Documents into Qdrant, a question in, the nearest documents out; the vectors come from the function.

    pip install qdrant-client
    python examples/qdrant/search.py --qdrant http://localhost:6333 --through server
    python examples/qdrant/search.py --qdrant http://localhost:6333 --through client --function https://…/

`--through server`: Qdrant asks the function itself, because its `inference.address` is the function's URL with
`/qdrant/inference`; this program never sees a vector. `--through client`: this program asks the function and sends
Qdrant vectors, which works with every Qdrant, its cloud included.

`--hybrid` asks by meaning and by words at once (Qdrant 1.15.2 or later): Qdrant makes BM25's vectors itself, and
reciprocal rank fusion joins both lists. Codes, names and numbers are found that a model of meaning passes over.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
from collections.abc import Callable

from qdrant_client import QdrantClient, models

DOCUMENTS = [
    "Qdrant has a LangChain integration for chatbots.",
    "Qdrant has a LlamaIndex integration for agents.",
    "The river flooded the old bridge last night.",
    "A sourdough loaf needs flour, water, salt and patience.",
    "E1234: the feed roller slipped. Clean it with a damp cloth.",
    "An error code is a letter and a number that the printer shows when something is wrong.",
]
METADATA = [{"source": name} for name in ("langchain-docs", "llamaindex-docs", "news", "cookbook", "manual", "glossary")]
IDS = [42, 2, 7, 11, 5, 3]

# The names that the function gives a hybrid collection's vectors (EMBED_QDRANT_HYBRID=on).
DENSE, SPARSE = "dense", "bm25"

# What a client hands to Qdrant for a text: the text itself with the model's name, or its vector.
Embed = Callable[[list[str], str], list]


def through_server(model: str) -> Embed:
    """Texts as they are: Qdrant has them embedded, as passages to store and as queries to search with."""
    return lambda texts, _: [models.Document(text=text, model=model) for text in texts]


def through_client(function: str, token: str | None) -> Embed:
    """Vectors from the function's text-embeddings-inference route."""

    def embed(texts: list[str], input_type: str) -> list[list[float]]:
        body = json.dumps({"inputs": texts, "input_type": input_type}).encode()
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(function.rstrip("/") + "/embed", body, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    return embed


def bm25(text: str) -> models.Document:
    """A text of which Qdrant makes a sparse vector."""
    return models.Document(text=text, model="qdrant/bm25")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--qdrant", default="http://localhost:6333", help="Qdrant's REST address")
    parser.add_argument("--api-key", help="Qdrant's API key")
    parser.add_argument("--through", choices=["server", "client"], default="client", help="who asks the function")
    parser.add_argument("--function", default="http://127.0.0.1:3000", help="the function's URL, with --through client")
    parser.add_argument("--token", help="the function's bearer token, with --through client")
    parser.add_argument("--model", default="bge-small-en-v1.5")
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--collection", default="demo")
    parser.add_argument("--hybrid", action="store_true", help="search by meaning and by words")
    parser.add_argument("--question", default="Which integration helps me build an agent?")
    options = parser.parse_args()
    embed = through_server(options.model) if options.through == "server" else through_client(options.function, options.token)

    # 1. The client. `cloud_inference` means that texts are sent as they are, not embedded in this process.
    client = QdrantClient(options.qdrant, api_key=options.api_key, cloud_inference=True)

    # 2. A collection of the model's size.
    if not client.collection_exists(options.collection):
        vectors = models.VectorParams(size=options.dimensions, distance=models.Distance.COSINE)
        sparse = {SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)}
        if options.hybrid:
            client.create_collection(options.collection, vectors_config={DENSE: vectors}, sparse_vectors_config=sparse)
        else:
            client.create_collection(options.collection, vectors_config=vectors)

    # 3. Documents, metadata and ids.
    payloads = [{"document": text, **fields} for text, fields in zip(DOCUMENTS, METADATA)]

    # 4. In they go.
    vectors = embed(DOCUMENTS, "passage")
    if options.hybrid:
        vectors = [{DENSE: vector, SPARSE: bm25(text)} for text, vector in zip(DOCUMENTS, vectors)]
    points = [models.PointStruct(id=id, vector=vector, payload=payload) for id, vector, payload in zip(IDS, vectors, payloads)]
    client.upsert(options.collection, points, wait=True)

    # 5. A question, and the documents nearest to it.
    question = embed([options.question], "query")[0]
    if options.hybrid:
        by_meaning = models.Prefetch(query=question, using=DENSE, limit=20)
        by_words = models.Prefetch(query=bm25(options.question), using=SPARSE, limit=20)
        fused = models.FusionQuery(fusion=models.Fusion.RRF)
        found = client.query_points(
            options.collection, prefetch=[by_meaning, by_words], query=fused, limit=3, with_payload=True
        )
    else:
        found = client.query_points(options.collection, query=question, limit=3, with_payload=True)
    for hit in found.points:
        print(f"{hit.score:.4f}  {hit.id:>3}  {hit.payload['source']:16}  {hit.payload['document']}")


if __name__ == "__main__":
    main()
