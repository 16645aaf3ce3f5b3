"""LangChain's langchain-openai."""

from langchain_openai import OpenAIEmbeddings

from tests.clients.python.jobs import answer


def embed(job: dict) -> list[list[float]]:
    options = {"chunk_size": job["batch"]} if job["batch"] else {}
    options |= {"api_key": job["key"]} if job["key"] else {}
    # By default it sends token ids.
    options |= {"check_embedding_ctx_length": False, "max_retries": 0}
    return OpenAIEmbeddings(base_url=job["url"], model=job["model"], **options).embed_documents(job["texts"])


answer(embed)
