"""Adds the limits of S3 Vectors that moto does not check to its operations.

They come from "Limitations and restrictions" in S3's user guide, and from the settings of an index at its creation.
"""

from __future__ import annotations

import json
from typing import Any

from moto.core.exceptions import ServiceException
from moto.s3vectors.models import S3VectorsBackend
from moto.s3vectors.responses import S3VectorsResponse

KILOBYTE = 1024


class Beyond(ServiceException):
    code = "ValidationException"


def check(allowed: bool, message: str) -> None:
    if not allowed:
        raise Beyond(message)


def size(metadata: dict[str, Any]) -> int:
    return len(json.dumps(metadata, ensure_ascii=False).encode())


def is_value(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, (str, int, float, bool)) for item in items)


def limited() -> None:
    """Adds the limits to moto."""
    create, put = S3VectorsResponse.create_index, S3VectorsBackend.put_vectors
    get, delete = S3VectorsBackend.get_vectors, S3VectorsBackend.delete_vectors

    def create_index(self: S3VectorsResponse) -> Any:
        configuration = self._get_param("metadataConfiguration") or {}
        keys = configuration.get("nonFilterableMetadataKeys", [])
        check(len(keys) <= 10, "at most 10 non-filterable metadata keys")
        name, bucket = self._get_param("indexName"), self._get_param("vectorBucketName")
        for index in self.s3vectors_backend.list_indexes(bucket, None):
            if index.index_name == name:
                conflict = Beyond("An index with the specified name already exists")
                conflict.code = "ConflictException"
                raise conflict
        answer = create(self)
        index = self.s3vectors_backend.get_index(bucket, name, None)
        index.long = set(keys)
        # GetIndex tells the keys; moto forgets them.
        index.metadata_configuration = {"nonFilterableMetadataKeys": keys} if keys else None
        return answer

    def put_vectors(self: S3VectorsBackend, vector_bucket_name: str, index_name: str, index_arn: str, vectors: Any) -> None:
        long = self.get_index(vector_bucket_name, index_name, index_arn).long
        check(1 <= len(vectors) <= 500, "1 to 500 vectors a request")
        check(len({vector["key"] for vector in vectors}) == len(vectors), "duplicate keys")
        for vector in vectors:
            metadata = vector.get("metadata", {})
            filterable = {name: value for name, value in metadata.items() if name not in long}
            check(all(is_value(value) for value in metadata.values()), "metadata of another type")
            check(len(metadata) <= 50, "at most 50 metadata keys")
            check(size(metadata) <= 40 * KILOBYTE, "at most 40 KB of metadata")
            check(size(filterable) <= 2 * KILOBYTE, "Filterable metadata must have at most 2048 bytes")
            check(any(vector["data"]["float32"]), "no zero vectors")
        put(self, vector_bucket_name, index_name, index_arn, vectors)

    def get_vectors(self: S3VectorsBackend, vector_bucket_name: str, index_name: str, index_arn: str, keys: Any) -> Any:
        check(1 <= len(keys) <= 100, "1 to 100 keys a request")
        return get(self, vector_bucket_name, index_name, index_arn, keys)

    def delete_vectors(self: S3VectorsBackend, vector_bucket_name: str, index_name: str, index_arn: str, keys: Any) -> None:
        check(1 <= len(keys) <= 500, "1 to 500 keys a request")
        delete(self, vector_bucket_name, index_name, index_arn, keys)

    S3VectorsResponse.create_index = create_index
    S3VectorsBackend.put_vectors = put_vectors
    S3VectorsBackend.get_vectors = get_vectors
    S3VectorsBackend.delete_vectors = delete_vectors
