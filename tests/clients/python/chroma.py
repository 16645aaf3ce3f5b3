"""Chroma's OpenAIEmbeddingFunction."""

from chromadb.utils.embedding_functions import OpenAIEmbeddingFunction

from tests.clients.python.jobs import answer


def embed(job: dict) -> list[list[float]]:
    return OpenAIEmbeddingFunction(api_key=job["key"], api_base=job["url"], model_name=job["model"])(job["texts"])


answer(embed)
