"""Clients of text-embeddings-inference: huggingface_hub, LangChain's and LlamaIndex's classes, curl."""

from __future__ import annotations

import json
import shutil
import subprocess
import unittest

from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from langchain_huggingface import HuggingFaceEndpointEmbeddings
from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference

from tests import parts
from tests.clients.harness import TEXTS, ServedCase, float32, invoked


class HuggingFaceHub(ServedCase):
    def setUp(self) -> None:
        self.client = InferenceClient(self.url)

    def test_feature_extraction_gives_the_same_vectors(self) -> None:
        found = self.client.feature_extraction(TEXTS, normalize=True, truncate=True)
        self.assertEqual(found.tolist(), invoked({"inputs": TEXTS}))

    def test_a_prompt_and_a_direction_are_understood(self) -> None:
        options = {"prompt_name": "query", "truncation_direction": "left"}
        found = self.client.feature_extraction(TEXTS[2], **options)
        self.assertEqual(found.tolist(), invoked({"inputs": TEXTS[2], **options}))

    def test_sentence_similarity_is_the_cosine(self) -> None:
        found = self.client.sentence_similarity("hello", ["hello", "world"], model=self.url + "/similarity")
        self.assertAlmostEqual(found[0], 1, places=6)
        self.assertLess(found[1], 1)

    def test_a_mistake_raises_the_clients_error(self) -> None:
        with self.assertRaises(HfHubHTTPError) as raised:
            self.client.feature_extraction("hello", prompt_name="poem")
        self.assertEqual(raised.exception.response.status_code, 422)


class LangChain(ServedCase):
    def test_documents_and_queries_have_the_same_vectors(self) -> None:
        # In newer releases its constructor refuses URLs, so the test replaces its client by one for the URL.
        embeddings = HuggingFaceEndpointEmbeddings(model="lambda-embed/fixture")
        embeddings.client = InferenceClient(self.url)
        expected = invoked({"inputs": TEXTS[:2]})
        self.assertEqual(embeddings.embed_documents(TEXTS[:2]), expected)
        self.assertEqual(embeddings.embed_query(TEXTS[0]), expected[0])


class LlamaIndex(ServedCase):
    def test_batches_and_queries_have_the_same_vectors(self) -> None:
        bare = {"text_instruction": "", "query_instruction": ""}
        embeddings = TextEmbeddingsInference(model_name="fixture", base_url=self.url, **bare)
        expected = invoked({"inputs": TEXTS})
        self.assertEqual(float32(embeddings.get_text_embedding_batch(TEXTS)), expected)
        self.assertEqual(float32([embeddings.get_query_embedding(TEXTS[0])]), expected[:1])


class Curl(ServedCase):
    @classmethod
    def setUpClass(cls) -> None:
        parts.require(cls, "curl", shutil.which("curl"))
        super().setUpClass()

    def test_plain_posts_work_whatever_type_curl_names(self) -> None:
        expected = invoked({"inputs": TEXTS})
        for options in ([], ["-H", "content-type: application/json"], ["--compressed"]):
            command = ["curl", "-sS", "--fail", *options, "-d", json.dumps({"inputs": TEXTS}), self.url + "/embed"]
            done = subprocess.run(command, check=True, capture_output=True, timeout=30)
            self.assertEqual(float32(json.loads(done.stdout)), expected)

    def test_head_and_options_answer(self) -> None:
        command = ["curl", "-sSI", self.url + "/health"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
        self.assertIn("200 OK", done.stdout)
        command = ["curl", "-sSi", "-X", "OPTIONS", self.url + "/embed"]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
        self.assertIn("allow: POST, OPTIONS", done.stdout)


if __name__ == "__main__":
    unittest.main()
