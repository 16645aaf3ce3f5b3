"""LlamaIndex's TextEmbeddingsInference."""

from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

from tests.clients.python.jobs import Embedded, answer


def embed(job: dict) -> Embedded:
    options = {"auth_token": job["key"]} if job["key"] else {}
    # Without these, it puts its own instructions before the texts.
    options |= {"text_instruction": "", "query_instruction": ""}
    client = TextEmbeddingsInference(model_name=job["model"], base_url=job["url"], **options)
    return Embedded(client.get_text_embedding_batch(job["texts"]))


answer(embed)
