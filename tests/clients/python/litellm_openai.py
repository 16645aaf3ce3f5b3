"""LiteLLM, as an OpenAI-compatible provider."""

import litellm

from tests.clients.python.jobs import answer


def embed(job: dict) -> list[list[float]]:
    names = {"model": f"openai/{job['model']}", "api_base": job["url"], "api_key": job["key"]}
    return [item["embedding"] for item in litellm.embedding(input=job["texts"], max_retries=0, **names).data]


answer(embed)
