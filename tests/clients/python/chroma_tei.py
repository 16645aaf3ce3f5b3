"""Chroma's HuggingFaceEmbeddingServer."""

from chromadb.utils.embedding_functions import HuggingFaceEmbeddingServer

from tests.clients.python.jobs import answer


def embed(job: dict) -> list[list[float]]:
    return HuggingFaceEmbeddingServer(url=job["url"], api_key=job["key"])(job["texts"])


answer(embed)
