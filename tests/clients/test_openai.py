"""openai-python and LangChain's OpenAIEmbeddings, as their users call them."""

from __future__ import annotations

import json
import os
import random
import unittest
import urllib.request
from unittest import mock

import numpy
import openai
import tiktoken
from langchain_openai import OpenAIEmbeddings

from tests.clients import encodings
from tests.clients.harness import TEXTS, ServedCase, float32, invoked


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
        self.assertIn("EMBED_MODEL_ALIASES", raised.exception.message)
        self.assertEqual((raised.exception.param, raised.exception.code), ("model", "not_found"))
        with self.assertRaises(openai.BadRequestError) as raised:
            self.client.embeddings.create(model="fixture", input="hello", dimensions=7)
        self.assertEqual(raised.exception.param, "dimensions")



class Aliases(ServedCase):
    variables = {"EMBED_MODEL_ALIASES": "text-embedding-3-small, text-embedding-ada-002"}

    def test_an_alias_is_listed_and_taken_and_the_answer_names_the_true_model(self) -> None:
        with openai.OpenAI(base_url=self.url + "/v1", api_key="unused") as client:
            listed = [model.id for model in client.models.list()]
            self.assertEqual(listed, ["fixture", "text-embedding-3-small", "text-embedding-ada-002"])
            for name in listed:
                self.assertEqual(client.embeddings.create(model=name, input="hello").model, "fixture")


class OpenAiWithToken(ServedCase):
    variables = {"EMBED_API_KEY": "sesame"}

    def test_the_api_key_is_the_token(self) -> None:
        with openai.OpenAI(base_url=self.url + "/v1", api_key="sesame") as client:
            self.assertEqual(len(client.embeddings.create(model="fixture", input="hello").data), 1)
        with openai.OpenAI(base_url=self.url + "/v1", api_key="guess", max_retries=0) as client:
            with self.assertRaises(openai.AuthenticationError):
                client.embeddings.create(model="fixture", input="hello")


def langchain(url: str, **options: object) -> OpenAIEmbeddings:
    return OpenAIEmbeddings(base_url=url + "/v1", api_key="unused", model="fixture", max_retries=0, **options)


class TokenIds(ServedCase):
    """What is sent in place of texts: ids of OpenAI's own encoder."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with mock.patch.dict(os.environ, encodings.VARIABLES):
            cls.encoding = tiktoken.get_encoding("cl100k_base")

    def answer(self, path: str, body: dict) -> tuple[object, str]:
        """The answer's body, and the number of characters that the function counted."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer), answer.headers["x-compute-characters"]

    def assert_equal(self, ids: list[list[int]], texts: list[str]) -> None:
        expected, characters = self.answer("/embed", {"inputs": texts})
        found, counted = self.answer("/v1/embeddings", {"input": ids})
        self.assertEqual([item["embedding"] for item in found["data"]], expected)
        self.assertEqual(counted, characters)

    def test_texts_of_every_kind_come_back_from_their_ids(self) -> None:
        chance = random.Random(5)
        letters = ["abc XYZ", "0123456789", ".,;:!?()[]{}<>/\\", " \t\r\n", "æøåßéêñ", "αβγδжшя", "一中国日本語文"]
        letters += ["한국어", "עברית", "🦀👩‍🚀🏳️‍🌈"]

        def text() -> str:
            return "".join(chance.choice(chance.choice(letters)) for _ in range(chance.randrange(60)))

        texts = [text() for _ in range(1_000)]
        self.assert_equal([self.encoding.encode(text, disallowed_special=()) for text in texts], texts)

    def test_special_tokens_are_their_names(self) -> None:
        specials = sorted(self.encoding.special_tokens_set)
        texts = [f"hello {special} world" for special in specials]
        self.assert_equal([self.encoding.encode(text, allowed_special="all") for text in texts], texts)

    def test_parts_of_characters_are_what_the_encoders_own_decoder_makes_of_them(self) -> None:
        ids = [token for text in TEXTS[1:2] * 9 for token in self.encoding.encode(text)]
        parts = [ids[start : start + size] for size in (1, 2, 3) for start in range(0, len(ids), size)]
        self.assertTrue(any("\ufffd" in self.encoding.decode(part) for part in parts))
        self.assert_equal(parts, [self.encoding.decode(part) for part in parts])

    def test_ids_that_are_none_are_refused_with_their_place(self) -> None:
        with openai.OpenAI(base_url=self.url + "/v1", api_key="unused", max_retries=0) as client:
            for number in (-1, 100_256, 100_261, self.encoding.n_vocab):
                with self.assertRaisesRegex(openai.BadRequestError, rf"input\[1\]\[2\].*{number}"):
                    client.embeddings.create(model="fixture", input=[[1], [1, 2, number]])


class LangChain(ServedCase):
    def setUp(self) -> None:
        patch = mock.patch.dict(os.environ, encodings.VARIABLES)
        patch.start()
        self.addCleanup(patch.stop)

    def test_by_default_documents_and_queries_have_the_same_vectors(self) -> None:
        embeddings = langchain(self.url)
        expected = invoked({"input": TEXTS})
        self.assertEqual(float32(embeddings.embed_documents(TEXTS)), expected)
        self.assertEqual(float32([embeddings.embed_query(TEXTS[0])]), expected[:1])

    def test_a_text_of_10000_words_is_the_mean_of_the_parts_that_it_cuts(self) -> None:
        # Each word is three tokens or more, so some cut lies within one.
        text = " ".join(f"東京🦀{place}" for place in range(10_000))
        ids = tiktoken.get_encoding("cl100k_base").encode(text)
        parts = [ids[start : start + 8_191] for start in range(0, len(ids), 8_191)]
        self.assertGreater(len(parts), 3)
        decode = tiktoken.get_encoding("cl100k_base").decode
        self.assertTrue(any(decode(part).startswith("\ufffd") for part in parts))
        vectors = invoked({"input": [decode(part) for part in parts]})
        mean = numpy.average(vectors, axis=0, weights=[len(part) for part in parts])
        [found] = langchain(self.url).embed_documents([text])
        numpy.testing.assert_allclose(found, mean / numpy.linalg.norm(mean), rtol=0, atol=1e-6)

    def test_strings_work_as_well(self) -> None:
        embeddings = langchain(self.url, check_embedding_ctx_length=False)
        self.assertEqual(float32(embeddings.embed_documents(TEXTS)), invoked({"input": TEXTS}))


class LangChainRefused(ServedCase):
    variables = {"EMBED_TOKEN_IDS": "refuse"}

    def test_a_function_that_refuses_token_ids_says_what_to_set(self) -> None:
        with mock.patch.dict(os.environ, encodings.VARIABLES):
            with self.assertRaisesRegex(openai.BadRequestError, "check_embedding_ctx_length=False"):
                langchain(self.url).embed_documents(TEXTS)


if __name__ == "__main__":
    unittest.main()
