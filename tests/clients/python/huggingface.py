"""huggingface_hub's InferenceClient."""

from huggingface_hub import InferenceClient

from tests.clients.python.jobs import Embedded, answer


def embed(job: dict) -> Embedded:
    return Embedded(InferenceClient(job["url"], token=job["key"]).feature_extraction(job["texts"]))


answer(embed)
