"""Haystack's OpenAIDocumentEmbedder."""

from haystack import Document
from haystack.components.embedders import OpenAIDocumentEmbedder
from haystack.utils import Secret

from tests.clients.python.jobs import Embedded, answer


def embed(job: dict) -> Embedded:
    options = {"api_key": Secret.from_token(job["key"])} if job["key"] else {}
    # By default it only logs an error and returns documents without vectors.
    options |= {"raise_on_failure": True, "max_retries": 0, "progress_bar": False}
    embedder = OpenAIDocumentEmbedder(api_base_url=job["url"], model=job["model"], **options)
    documents = [Document(id=str(place), content=text) for place, text in enumerate(job["texts"])]
    return Embedded([document.embedding for document in embedder.run(documents)["documents"]])


answer(embed)
