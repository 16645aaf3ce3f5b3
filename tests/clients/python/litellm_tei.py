"""LiteLLM, as Hugging Face's provider."""

import litellm

from tests.clients.python.jobs import Embedded, answer


def embed(job: dict) -> Embedded:
    names = {"model": f"huggingface/{job['model']}", "api_base": job["url"], "api_key": job["key"]}
    # Without a type it asks the hub for the model's type.
    done = litellm.embedding(input=job["texts"], input_type="embed", **names)
    return Embedded([item["embedding"] for item in done.data])


answer(embed)
