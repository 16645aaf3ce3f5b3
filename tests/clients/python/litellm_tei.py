"""LiteLLM, as Hugging Face's provider."""

import litellm

from tests.clients.python.jobs import answer


def embed(job: dict) -> list[list[float]]:
    names = {"model": f"huggingface/{job['model']}", "api_base": job["url"], "api_key": job["key"]}
    # Without a type it asks the hub for the model's type.
    return [item["embedding"] for item in litellm.embedding(input=job["texts"], input_type="embed", **names).data]


answer(embed)
