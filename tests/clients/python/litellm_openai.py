"""LiteLLM, as an OpenAI-compatible provider."""

import litellm

from tests.clients.python.jobs import Embedded, answer


def embed(job: dict) -> Embedded:
    names = {"model": f"openai/{job['model']}", "api_base": job["url"], "api_key": job["key"]}
    done = litellm.embedding(input=job["texts"], max_retries=0, **names)
    return Embedded([item["embedding"] for item in done.data])


answer(embed)
