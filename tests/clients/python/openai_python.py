"""openai-python."""

from openai import OpenAI

from tests.clients.python.jobs import Embedded, answer


def embed(job: dict) -> Embedded:
    with OpenAI(base_url=job["url"], api_key=job["key"], max_retries=0) as client:
        done = client.embeddings.create(model=job["model"], input=job["texts"])
    # No field of the client's own types.
    return Embedded([item.embedding for item in done.data], getattr(done, "truncated", None))


answer(embed)
