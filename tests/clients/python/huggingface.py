"""huggingface_hub's InferenceClient."""

from huggingface_hub import InferenceClient

from tests.clients.python.jobs import answer


def embed(job: dict) -> list[list[float]]:
    return InferenceClient(job["url"], token=job["key"]).feature_extraction(job["texts"])


answer(embed)
