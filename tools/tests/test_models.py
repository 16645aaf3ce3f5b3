"""The real models: graphs exported from published weights give the published vectors.

Each is built first if it is not there (a minute each).
"""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

import numpy as np

from tools import corpus, fetch, manifest, session, tokenizer, verify, weights
from tools.build import RECIPE
from tools.reference import embed
from tools.sources import BGE_SMALL, EXPORT, MINILM, Source
from tools.tests import instruction_sets

# Short and long, prose, other languages and code.
TEXTS = [
    "",
    "hello world",
    "Wie lange dauert die Überfahrt? Mit der Fähre ungefähr drei Stunden, je nach Wetter und Seegang.",
    "Сколько времени занимает дорога до моря? Около трёх часов.",
    "北京大学的学生学习中文。日本語のテキスト、한국어 문장",
    "مرحبا بالعالم 👩‍👩‍👧‍👦 $5.00 ½ ℃",
    Path(__file__).read_text(encoding="utf-8")[:600],
    *corpus.paragraphs(5),
    " ".join(corpus.paragraphs(20)),
]
MODELS, FLOAT32 = Path("models"), Path("target/fp32")


class PublishedModel:
    """Tests for every source; each source has a TestCase with this mixin."""

    source: Source

    def test_the_float32_export_gives_the_published_vector(self) -> None:
        vector = session.embed(session.load(self.float32), [self.encode("hello world")])[0]
        published = np.array(self.source.hello_world)
        np.testing.assert_allclose(vector[: len(published)], published, rtol=0, atol=1e-3)

    def test_the_float32_export_is_the_reference(self) -> None:
        bert = weights.load(self.source, fetch.fetch(self.source))
        texts = [self.encode(text) for text in ["hello world", "", *corpus.paragraphs(5)]]
        expected = [embed(bert, ids, self.source.pooling) for ids in texts]
        vectors = session.embed(session.load(self.float32), texts)
        np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5)

    def test_int8_is_near_float32(self) -> None:
        found = verify.checks(MODELS / self.source.id, self.float32, self.source.hello_world, verify.Bars())
        self.assertEqual([check.text for check in found if not check.passed], [])

    def test_the_manifest_states_the_source(self) -> None:
        stated = manifest.read(MODELS / self.source.id)
        self.assertEqual(
            (stated["id"], stated["pooling"], stated["recipe"]), (self.source.id, self.source.pooling, RECIPE)
        )
        self.assertEqual((stated["dimensions"], stated["max_tokens"]), (384, self.source.max_tokens))

    @property
    def float32(self) -> Path:
        return FLOAT32 / f"{self.source.id}.onnx"

    def encode(self, text: str) -> list[int]:
        return tokenizer.load(MODELS / self.source.id / manifest.TOKENIZER, self.source.max_tokens)(text)


def build(source: Source) -> None:
    """Builds the model and its float32 graph, unless both are there."""
    command = [sys.executable, "-m", "tools.build", source.id]
    command += ["--keep-fp32", str(FLOAT32 / f"{source.id}.onnx")]
    subprocess.run(command, check=True, capture_output=True, timeout=600)


class BgeSmall(PublishedModel, unittest.TestCase):
    source = BGE_SMALL

    @classmethod
    def setUpClass(cls) -> None:
        build(cls.source)

    def test_the_float32_export_is_the_hubs_own(self) -> None:
        texts = [self.encode(text) for text in ["hello world", *corpus.paragraphs(5)]]
        stock = session.embed(session.load(fetch.fetch(self.source) / EXPORT), texts, self.source.pooling)
        np.testing.assert_allclose(session.embed(session.load(self.float32), texts), stock, rtol=0, atol=1e-5)

    def test_every_instruction_set_gives_the_same_vectors(self) -> None:
        texts = [self.encode(text) for text in TEXTS]
        self.assertLessEqual({2, 4, 512}, {len(ids) for ids in texts})
        instruction_sets.assert_equal_vectors(self, MODELS / self.source.id / manifest.MODEL, texts)


class MiniLM(PublishedModel, unittest.TestCase):
    source = MINILM

    @classmethod
    def setUpClass(cls) -> None:
        build(cls.source)


if __name__ == "__main__":
    unittest.main()
