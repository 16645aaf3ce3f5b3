"""The tests' Qdrant: the REST routes that the function uses, over Qdrant's own engine, on a free loopback port.

The engine stores, filters and searches (engine.py). Requests are checked by qdrant-client's models, made from the
server's own OpenAPI document, which refuse every unknown field. This module connects the two, and adds two features of
the server: the strict mode, which needs an index for every field of a filter, and inference (`--inference`), which
sends Document objects to that address and gets vectors.

It prints its address on one line. The process that started it holds the other end of its standard input, so it ends
with that process, however that ends, and in any case after `LIFETIME_SECONDS`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable
from urllib.parse import parse_qs, urlsplit

from engine import Collection, bm25
from pydantic import TypeAdapter, ValidationError
from qdrant_client import models

LIFETIME_SECONDS = 1800
VERSION = "1.20.0"
SELECTOR = TypeAdapter(models.FilterSelector | models.PointIdsList)


class Refused(Exception):
    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None):
        super().__init__(message)
        self.status, self.headers = status, headers or {}


class Store:
    """The collections, and the service that embeds documents."""

    def __init__(self, folder: str, inference: str | None):
        self.folder, self.inference = folder, inference
        self.collections: dict[str, Collection] = {}
        self.made = 0

    def named(self, collection: str) -> Collection:
        if collection not in self.collections:
            raise Refused(404, f"Not found: Collection `{collection}` doesn't exist!")
        return self.collections[collection]

    def get(self, collection: str, **_: Any) -> Any:
        one = self.named(collection)
        params = {"vectors": one.vectors} | ({"sparse_vectors": one.sparse_vectors} if one.sparse_vectors else {})
        params = TypeAdapter(dict[str, Any]).dump_python(params, mode="json", exclude_none=True)
        return {"status": "green", "config": {"params": params}, "payload_schema": one.indexes}

    def exists(self, collection: str, **_: Any) -> Any:
        return {"exists": collection in self.collections}

    def create(self, collection: str, body: Any, **_: Any) -> Any:
        if collection in self.collections:
            raise Refused(409, f"Wrong input: Collection `{collection}` already exists!")
        self.made += 1
        asked = models.CreateCollection.model_validate(body)
        folder = os.path.join(self.folder, str(self.made))
        self.collections[collection] = Collection(folder, asked.vectors, asked.sparse_vectors or {})
        return True

    def drop(self, collection: str, **_: Any) -> Any:
        self.collections.pop(collection, None)
        return True

    def index(self, collection: str, body: Any, **query: Any) -> Any:
        asked = models.CreateFieldIndex.model_validate(body)
        self.named(collection).index(asked.field_name, asked.field_schema)
        return self.done(**query)

    def retrieve(self, collection: str, body: Any, **_: Any) -> Any:
        return self.named(collection).retrieve(models.PointRequest.model_validate(body))

    def upsert(self, collection: str, body: Any, **query: Any) -> Any:
        self.strict(collection, body)
        self.named(collection).upsert(models.PointsList.model_validate(self.embedded(body, "update")))
        return self.done(**query)

    def batch(self, collection: str, body: Any, **query: Any) -> Any:
        self.strict(collection, body)
        asked = models.UpdateOperations.model_validate(self.embedded(body, "update"))
        self.named(collection).batch(asked.operations)
        return [self.done(**query) for _ in asked.operations]

    def delete(self, collection: str, body: Any, **query: Any) -> Any:
        self.strict(collection, body)
        self.named(collection).delete(SELECTOR.validate_python(body))
        return self.done(**query)

    def count(self, collection: str, body: Any, **_: Any) -> Any:
        self.strict(collection, body)
        return {"count": self.named(collection).count(models.CountRequest.model_validate(body))}

    def scroll(self, collection: str, body: Any, **_: Any) -> Any:
        self.strict(collection, body)
        points, following = self.named(collection).scroll(models.ScrollRequest.model_validate(body))
        return {"points": points, "next_page_offset": following}

    def query(self, collection: str, body: Any, **_: Any) -> Any:
        self.strict(collection, body)
        asked = models.QueryRequest.model_validate(self.embedded(body, "search"))
        return {"points": self.named(collection).query(asked)}

    def done(self, wait: str = "false", **_: Any) -> Any:
        return {"operation_id": 0, "status": "completed" if wait == "true" else "acknowledged"}

    def strict(self, collection: str, body: Any) -> None:
        """Refuses a filter over a field without an index, as the strict mode of Qdrant's cloud does."""
        for key in filter_keys(body):
            if key not in self.named(collection).indexes:
                raise Refused(400, f'Bad request: Index required but not found for "{key}" of one of the types')

    def embedded(self, body: Any, purpose: str) -> Any:
        """`body` with vectors in place of Document objects."""
        for place, key in document_places(body):
            if place[key]["model"].lower() == "qdrant/bm25":
                place[key] = bm25(place[key]["text"], purpose)
        documents = [place[key] for place, key in document_places(body)]
        if not documents:
            return body
        if not self.inference:
            raise Refused(500, "Service internal error: InferenceService is not initialized")
        inputs = [
            {"data": document["text"], "data_type": "text", "model": document["model"], "options": document.get("options")}
            for document in documents
        ]
        asked = json.dumps({"inputs": inputs, "inference": purpose, "token": None}).encode()
        request = urllib.request.Request(self.inference, asked, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                vectors = json.load(answer)["embeddings"]
        except urllib.error.HTTPError as error:
            said = json.load(error).get("error", "")
            raise Refused(error.code, f"Wrong input: {said}" if error.code == 400 else said) from error
        for (place, key), vector in zip(document_places(body), vectors, strict=True):
            place[key] = vector
        return body


def filter_keys(part: Any) -> list[str]:
    """The payload's fields that the filters in a request name."""
    if isinstance(part, list):
        return [key for item in part for key in filter_keys(item)]
    if not isinstance(part, dict):
        return []
    conditions = [part[name] for name in ("must", "must_not", "should") if name in part]
    own = [condition for group in conditions for condition in (group if isinstance(group, list) else [group])]
    keys = [condition.get("key") or condition.get("is_empty", {}).get("key") for condition in own]
    deeper = [key for name, item in part.items() if name not in ("points", "payload") for key in filter_keys(item)]
    return [key for key in keys if key] + deeper


def document_places(part: Any) -> list[tuple[Any, Any]]:
    """The places of a request's Document objects: the container, and the key or index in it."""
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else []
    places = []
    for key, item in items:
        if isinstance(item, dict) and "text" in item and "model" in item and key != "payload":
            places.append((part, key))
        elif key != "payload":
            places.extend(document_places(item))
    return places


ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", r"/collections/([^/]+)", Store.get),
    ("GET", r"/collections/([^/]+)/exists", Store.exists),
    ("PUT", r"/collections/([^/]+)", Store.create),
    ("DELETE", r"/collections/([^/]+)", Store.drop),
    ("PUT", r"/collections/([^/]+)/index", Store.index),
    ("POST", r"/collections/([^/]+)/points", Store.retrieve),
    ("PUT", r"/collections/([^/]+)/points", Store.upsert),
    ("POST", r"/collections/([^/]+)/points/batch", Store.batch),
    ("POST", r"/collections/([^/]+)/points/delete", Store.delete),
    ("POST", r"/collections/([^/]+)/points/count", Store.count),
    ("POST", r"/collections/([^/]+)/points/scroll", Store.scroll),
    ("POST", r"/collections/([^/]+)/points/query", Store.query),
]


def answer(store: Store, method: str, path: str, query: dict[str, str], body: bytes) -> Any:
    if (method, path) == ("GET", "/"):
        return {"title": "qdrant - vector search engine", "version": VERSION}
    for its_method, pattern, do in ROUTES:
        found = re.fullmatch(pattern, path)
        if found and its_method == method:
            parsed = json.loads(body) if body else {}
            try:
                return {"result": do(store, found[1], body=parsed, **query), "status": "ok", "time": 0.0}
            except (ValidationError, ValueError) as error:
                raise Refused(400, f"Format error in JSON body: {error}") from error
    raise Refused(404, "")


def handler(store: Store, api_key: str | None) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, headers = 200, {}
            try:
                if api_key and self.headers.get("api-key") != api_key:
                    raise Refused(401, "Invalid API key or JWT")
                with lock:
                    said = answer(store, self.command, url.path, query, body)
            except Refused as refused:
                status, headers = refused.status, refused.headers
                said = {"status": {"error": str(refused)}, "time": 0.0}
            encoded = json.dumps(said).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_PUT = do_POST = do_DELETE = reply

        def log_message(self, *_: Any) -> None:
            """Writes no log."""

    return Handler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api-key", help="refuse requests without this api-key header")
    parser.add_argument("--inference", help="the address that makes vectors of Document objects")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="qdrant-of-the-tests-")

    def ended(code: int) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(code)

    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(Store(folder, options.inference), options.api_key))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("%s:%d" % server.server_address[:2], flush=True)
    end = threading.Timer(LIFETIME_SECONDS, ended, [1])
    end.daemon = True
    end.start()
    sys.stdin.read()
    ended(0)


if __name__ == "__main__":
    main()
