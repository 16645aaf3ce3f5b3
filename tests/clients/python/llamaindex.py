"""LlamaIndex's OpenAIEmbedding."""

from llama_index.embeddings.openai import OpenAIEmbedding

from tests.clients.python.jobs import Embedded, answer


def embed(job: dict) -> Embedded:
    # `model` accepts only names of OpenAI's models.
    names = {"model_name": job["model"], "api_base": job["url"], "api_key": job["key"]}
    return Embedded(OpenAIEmbedding(max_retries=0, **names).get_text_embedding_batch(job["texts"]))


answer(embed)
