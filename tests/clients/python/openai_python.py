"""openai-python."""

from openai import OpenAI

from tests.clients.python.jobs import answer


def embed(job: dict) -> list[list[float]]:
    with OpenAI(base_url=job["url"], api_key=job["key"], max_retries=0) as client:
        return [item.embedding for item in client.embeddings.create(model=job["model"], input=job["texts"]).data]


answer(embed)
