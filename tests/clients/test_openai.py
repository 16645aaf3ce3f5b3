"""openai-python and LangChain's OpenAIEmbeddings, as their users call them."""

from __future__ import annotations

import os
import unittest
from pathlib import Path
from unittest import mock

import llama_index.core
import openai
from langchain_openai import OpenAIEmbeddings

from tests.clients.harness import TEXTS, ServedCase, float32, invoked

# The client would fetch its encoding, cl100k_base, from the network; LlamaIndex's package has the same file.
ENCODINGS = Path(llama_index.core.__file__).parent / "_static/tiktoken_cache"


class OpenAiPython(ServedCase):
    def setUp(self) -> None:
        self.client = openai.OpenAI(base_url=self.url + "/v1", api_key="unused", max_retries=0)
        self.addCleanup(self.client.close)
        self.expected = invoked({"input": TEXTS})

    def test_the_default_is_base64_and_the_vectors_are_the_same(self) -> None:
        answer = self.client.embeddings.create(model="fixture", input=TEXTS)
        self.assertEqual([item.embedding for item in answer.data], self.expected)
        self.assertEqual([item.index for item in answer.data], [0, 1, 2])
        self.assertEqual(answer.usage.prompt_tokens, answer.usage.total_tokens)

    def test_floats_are_the_same(self) -> None:
        answer = self.client.embeddings.create(model="fixture", input=TEXTS, encoding_format="float", dimensions=32)
        self.assertEqual(float32([item.embedding for item in answer.data]), self.expected)

    def test_our_extensions_go_through_extra_body(self) -> None:
        extra = {"input_type": "query", "truncate": "mean"}
        answer = self.client.embeddings.create(model="fixture", input=TEXTS[2], extra_body=extra)
        self.assertEqual(answer.data[0].embedding, invoked({"input": TEXTS[2], **extra})[0])

    def test_a_base_url_without_a_version_works(self) -> None:
        with openai.OpenAI(base_url=self.url, api_key="unused") as client:
            answer = client.embeddings.create(model="fixture", input="hello world")
        self.assertEqual(answer.data[0].embedding, self.expected[0])

    def test_models_are_listed(self) -> None:
        self.assertEqual([model.id for model in self.client.models.list()], ["fixture"])

    def test_mistakes_raise_the_clients_own_errors(self) -> None:
        with self.assertRaises(openai.NotFoundError) as raised:
            self.client.embeddings.create(model="text-embedding-3-small", input="hello")
        self.assertEqual((raised.exception.param, raised.exception.code), ("model", "not_found"))
        with self.assertRaises(openai.BadRequestError) as raised:
            self.client.embeddings.create(model="fixture", input="hello", dimensions=7)
        self.assertEqual(raised.exception.param, "dimensions")

    def test_token_ids_are_refused(self) -> None:
        with self.assertRaisesRegex(openai.BadRequestError, "check_embedding_ctx_length=False"):
            self.client.embeddings.create(model="fixture", input=[[1, 2, 3]])


class OpenAiWithToken(ServedCase):
    variables = {"EMBED_API_KEY": "sesame"}

    def test_the_api_key_is_the_token(self) -> None:
        with openai.OpenAI(base_url=self.url + "/v1", api_key="sesame") as client:
            self.assertEqual(len(client.embeddings.create(model="fixture", input="hello").data), 1)
        with openai.OpenAI(base_url=self.url + "/v1", api_key="guess", max_retries=0) as client:
            with self.assertRaises(openai.AuthenticationError):
                client.embeddings.create(model="fixture", input="hello")


class LangChain(ServedCase):
    def embeddings(self, **options: object) -> OpenAIEmbeddings:
        return OpenAIEmbeddings(base_url=self.url + "/v1", api_key="unused", model="fixture", max_retries=0, **options)

    def test_the_default_sends_token_ids_and_is_told_what_to_set(self) -> None:
        with mock.patch.dict(os.environ, TIKTOKEN_CACHE_DIR=str(ENCODINGS)):
            with self.assertRaisesRegex(openai.BadRequestError, "check_embedding_ctx_length=False"):
                self.embeddings().embed_documents(TEXTS)

    def test_texts_work(self) -> None:
        embeddings = self.embeddings(check_embedding_ctx_length=False)
        expected = invoked({"input": TEXTS})
        self.assertEqual(float32(embeddings.embed_documents(TEXTS)), expected)
        self.assertEqual(float32([embeddings.embed_query(TEXTS[0])]), expected[:1])


if __name__ == "__main__":
    unittest.main()
