"""LangChain's langchain-openai."""

from langchain_openai import OpenAIEmbeddings

from tests.clients.python.jobs import Embedded, answer


def embed(job: dict) -> Embedded:
    options = {"chunk_size": job["batch"]} if job["batch"] else {}
    options |= {"api_key": job["key"]} if job["key"] else {}
    # It sends token ids, its default.
    embeddings = OpenAIEmbeddings(base_url=job["url"], model=job["model"], max_retries=0, **options)
    return Embedded(embeddings.embed_documents(job["texts"]))


answer(embed)
