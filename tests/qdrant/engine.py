"""One collection over qdrant-edge, the engine of Qdrant's own server, which stores, filters and searches.

This module translates the server's request models to the engine's, for the conditions and operations that the function
uses. It refuses all others, so that no test passes because something was silently ignored.
"""

from __future__ import annotations

from typing import Any

import qdrant_edge as edge
from qdrant_client import models

DISTANCES = {
    models.Distance.COSINE: edge.Distance.Cosine,
    models.Distance.DOT: edge.Distance.Dot,
    models.Distance.EUCLID: edge.Distance.Euclid,
}
MODES = {
    None: edge.UpdateMode.Upsert,
    models.UpdateMode.UPSERT: edge.UpdateMode.Upsert,
    models.UpdateMode.INSERT_ONLY: edge.UpdateMode.InsertOnly,
    models.UpdateMode.UPDATE_ONLY: edge.UpdateMode.UpdateOnly,
}
SCHEMAS = {
    models.PayloadSchemaType.KEYWORD: edge.PayloadSchemaType.Keyword,
    models.PayloadSchemaType.INTEGER: edge.PayloadSchemaType.Integer,
}


class Unsupported(ValueError):
    """A feature of Qdrant that this module does not translate."""


class Collection:
    """Points in a folder of their own."""

    def __init__(self, folder: str, vectors: Any, sparse_vectors: dict[str, models.SparseVectorParams]):
        named = vectors if isinstance(vectors, dict) else {"": vectors}
        params = {name: edge.EdgeVectorParams(one.size, DISTANCES[one.distance]) for name, one in named.items()}
        modifiers = {None: None, models.Modifier.NONE: None, models.Modifier.IDF: edge.Modifier.Idf}
        sparse = {name: edge.EdgeSparseVectorParams(modifier=modifiers[one.modifier]) for name, one in sparse_vectors.items()}
        self.vectors, self.sparse_vectors = vectors, sparse_vectors
        self.indexes: dict[str, Any] = {}
        self.shard = edge.EdgeShard.create(folder, edge.EdgeConfig(vectors=params, sparse_vectors=sparse))

    def index(self, field: str, schema: models.PayloadSchemaType) -> None:
        self.shard.update(edge.UpdateOperation.create_field_index(field, SCHEMAS[schema]))
        self.indexes[field] = {"data_type": schema.value, "points": 0}

    def upsert(self, asked: models.PointsList) -> None:
        points = [edge.Point(point.id, vectors(point.vector), point.payload) for point in asked.points]
        condition = filtered(asked.update_filter) if asked.update_filter else None
        self.shard.update(edge.UpdateOperation.upsert_points(points, condition, MODES[asked.update_mode]))

    def delete(self, asked: models.FilterSelector | models.PointIdsList) -> None:
        if isinstance(asked, models.PointIdsList):
            self.shard.update(edge.UpdateOperation.delete_points(asked.points))
        else:
            self.shard.update(edge.UpdateOperation.delete_points_by_filter(filtered(asked.filter)))

    def set_payload(self, asked: models.SetPayload) -> None:
        if asked.filter is None or asked.points is not None:
            raise Unsupported("set_payload without a filter")
        operation = edge.UpdateOperation.set_payload_by_filter(filtered(asked.filter), asked.payload, asked.key)
        self.shard.update(operation)

    def batch(self, operations: list[Any]) -> None:
        for operation in operations:
            match operation:
                case models.UpsertOperation(upsert=models.PointsList() as asked):
                    self.upsert(asked)
                case models.DeleteOperation(delete=asked):
                    self.delete(asked)
                case models.SetPayloadOperation(set_payload=asked):
                    self.set_payload(asked)
                case other:
                    raise Unsupported(type(other).__name__)

    def retrieve(self, asked: models.PointRequest) -> list[dict[str, Any]]:
        found = self.shard.retrieve(asked.ids, asked.with_payload, bool(asked.with_vector))
        return [record(point) for point in found]

    def count(self, asked: models.CountRequest) -> int:
        condition = filtered(asked.filter) if asked.filter else None
        return self.shard.count(edge.CountRequest(True if asked.exact is None else asked.exact, condition))

    def scroll(self, asked: models.ScrollRequest) -> tuple[list[dict[str, Any]], Any]:
        points, following = self.shard.scroll(
            edge.ScrollRequest(
                offset=asked.offset,
                limit=asked.limit or 10,
                filter=filtered(asked.filter) if asked.filter else None,
                with_payload=True if asked.with_payload is None else asked.with_payload,
                with_vector=bool(asked.with_vector),
            )
        )
        return [record(point) for point in points], following and str(following)

    def query(self, asked: models.QueryRequest) -> list[dict[str, Any]]:
        prefetches = asked.prefetch if isinstance(asked.prefetch, list) else [asked.prefetch] if asked.prefetch else []
        found = self.shard.query(
            edge.QueryRequest(
                query=scoring(asked.query, asked.using),
                prefetches=[self.prefetch(one) for one in prefetches],
                limit=asked.limit or 10,
                filter=filtered(asked.filter) if asked.filter else None,
                with_payload=False if asked.with_payload is None else asked.with_payload,
                with_vector=bool(asked.with_vector),
            )
        )
        return [record(point) | {"score": point.score, "version": point.version} for point in found]


    @staticmethod
    def prefetch(asked: models.Prefetch) -> Any:
        if asked.prefetch:
            raise Unsupported("a prefetch of a prefetch")
        condition = filtered(asked.filter) if asked.filter else None
        return edge.Prefetch(asked.limit or 10, query=scoring(asked.query, asked.using), filter=condition)


def scoring(asked: Any, using: str | None) -> Any:
    """What a query or a prefetch orders points by."""
    match asked:
        case models.NearestQuery(nearest=nearest):
            return edge.Query.Nearest(vector(nearest), using)
        case models.FusionQuery(fusion=models.Fusion.RRF):
            # The server's own constant, where a request names none.
            return edge.Fusion.Rrf(2)
        case models.RrfQuery(rrf=rrf):
            return edge.Fusion.Rrf(rrf.k or 2)
        case list() | models.SparseVector():
            return edge.Query.Nearest(vector(asked), using)
        case other:
            raise Unsupported(repr(other))


def vectors(asked: Any) -> Any:
    """A point's vectors, one or several by name."""
    return {name: vector(one) for name, one in asked.items()} if isinstance(asked, dict) else vector(asked)


def vector(asked: Any) -> Any:
    match asked:
        case list():
            return asked
        case models.SparseVector():
            return edge.SparseVector(asked.indices, asked.values)
        case other:
            raise Unsupported(repr(other))


def bm25(text: str, purpose: str) -> dict[str, Any]:
    """What the server makes of `Document(model="qdrant/bm25")`, by the engine's own model."""
    model = edge.Bm25()
    made = model.embed_query(text) if purpose == "search" else model.embed_document(text)
    return {"indices": made.indices, "values": made.values}


def record(point: Any) -> dict[str, Any]:
    id = point.id if isinstance(point.id, int) else str(point.id)
    return {"id": id, "payload": point.payload, "vector": plain(point.vector)}


def plain(found: Any) -> Any:
    """A point's vectors as JSON has them."""
    match found:
        case dict():
            return {name: plain(one) for name, one in found.items()}
        case edge.SparseVector():
            return {"indices": found.indices, "values": found.values}
        case other:
            return other


def filtered(asked: models.Filter) -> edge.Filter:
    if asked.min_should is not None:
        raise Unsupported("min_should")
    groups = {name: conditions(getattr(asked, name)) for name in ("must", "should", "must_not")}
    return edge.Filter(**groups)


def conditions(asked: Any) -> list[Any] | None:
    if asked is None:
        return None
    return [condition(one) for one in (asked if isinstance(asked, list) else [asked])]


def condition(asked: Any) -> Any:
    match asked:
        case models.Filter():
            return filtered(asked)
        case models.HasIdCondition():
            return edge.HasIdCondition(set(asked.has_id))
        case models.HasVectorCondition():
            return edge.HasVectorCondition(asked.has_vector)
        case models.IsEmptyCondition():
            return edge.IsEmptyCondition(asked.is_empty.key)
        case models.FieldCondition(match=models.MatchValue() as value):
            return edge.FieldCondition(asked.key, match=edge.MatchValue(value.value))
        case models.FieldCondition(range=models.Range() as range):
            bounds = range.model_dump(exclude_none=True)
            return edge.FieldCondition(asked.key, range=edge.RangeFloat(**bounds))
        case other:
            raise Unsupported(repr(other))
