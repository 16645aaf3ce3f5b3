"""Chroma's collections with OpenAIEmbeddingFunction, or HuggingFaceEmbeddingServer if the argument is `tei`."""

import sys

import chromadb
from chromadb.utils.embedding_functions import HuggingFaceEmbeddingServer, OpenAIEmbeddingFunction

from tests.clients.python.jobs import Embedded, answer

CLIENT = chromadb.EphemeralClient()


def embed(job: dict) -> Embedded:
    if sys.argv[1:] == ["tei"]:
        function = HuggingFaceEmbeddingServer(url=job["url"], api_key=job["key"])
    else:
        function = OpenAIEmbeddingFunction(api_key=job["key"], api_base=job["url"], model_name=job["model"])
    collection = CLIENT.create_collection("texts", embedding_function=function)
    try:
        names = [str(place) for place in range(len(job["texts"]))]
        collection.add(ids=names, documents=job["texts"])
        found = collection.get(ids=names, include=["embeddings"])
        vectors = dict(zip(found["ids"], found["embeddings"]))
        return Embedded([vectors[name] for name in names])
    finally:
        CLIENT.delete_collection("texts")


answer(embed)
