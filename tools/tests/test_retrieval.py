"""Benchmarks are read or refused by name, scores are trec_eval's, vectors come from the function's own binary."""

from __future__ import annotations

import contextlib
import io
import json
import platform
import shutil
import tempfile
import unittest
from collections.abc import Iterator
from math import log2
from pathlib import Path
from unittest.mock import patch

import numpy as np

from tools import beir, manifest, ranking, retrieval, session, tokenizer
from tools.sources import BGE_SMALL
from tools.tests.test_models import build

FIXTURE = Path("models/fixture")
BINARY = Path("target/release/bootstrap")
LIBRARY = Path("target/runtime") / platform.machine() / "libonnxruntime.so"


class Folder(unittest.TestCase):
    """A small benchmark, which tests change before they read it."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())) / "small"
        (self.folder / "qrels").mkdir(parents=True)
        self.write("corpus.jsonl", {"_id": "d1", "title": "On wings", "text": "Lift."}, {"_id": "d2", "text": "Drag."})
        self.write("queries.jsonl", *({"_id": id, "text": f"What is {id}?"} for id in ("q1", "q2", "q3")))
        self.judge("query-id\tcorpus-id\tscore", "q2\td1\t0", "q1\td2\t3", "q1\td1\t1")

    def write(self, name: str, *records: object) -> None:
        (self.folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))

    def judge(self, *lines: str, name: str = "qrels/test.tsv") -> None:
        (self.folder / name).write_text("".join(line + "\n" for line in lines))

    def refused(self, message: str) -> None:
        with self.assertRaisesRegex(beir.BadFolder, message):
            beir.read(self.folder)


class Reading(Folder):
    def test_titles_come_first_and_only_queries_with_relevant_documents_are_taken(self) -> None:
        found = beir.read(self.folder)
        self.assertEqual(dict(found.documents), {"d1": "On wings Lift.", "d2": "Drag."})
        self.assertEqual(found.queries, [beir.Query("What is q1?", {"d2": 3, "d1": 1})])
        # q2's only judged document has grade 0, q3 was never judged.
        self.assertEqual((found.name, found.left_out), ("small", 1))

    def test_the_other_name_of_the_judgements_and_no_header(self) -> None:
        (self.folder / "qrels/test.tsv").unlink()
        self.judge("q3\td2\t1", name="qrels-test.tsv")
        self.assertEqual(beir.read(self.folder).queries, [beir.Query("What is q3?", {"d2": 1})])

    def test_a_missing_file_is_named(self) -> None:
        (self.folder / "corpus.jsonl").unlink()
        self.refused("corpus.jsonl cannot be read: .*No such file")
        (self.folder / "qrels/test.tsv").unlink()
        self.refused("small has neither qrels/test.tsv nor qrels-test.tsv")

    def test_a_bad_line_is_named_by_file_and_number(self) -> None:
        good = {"_id": "d1", "text": "Lift."}
        for bad, message in (
            ({"id": "d2", "text": "Drag."}, 'line 2: not an object with "_id" and "text"'),
            (["d2"], 'line 2: not an object with "_id" and "text"'),
            ({"_id": 2, "text": "Drag."}, 'line 2: "_id" and "text" have to be strings'),
            (good, "line 2: d1 was there before"),
        ):
            with self.subTest(bad):
                self.write("corpus.jsonl", good, bad)
                self.refused(f"corpus.jsonl, {message}")
        (self.folder / "corpus.jsonl").write_text(json.dumps(good)[:-1])
        self.refused("corpus.jsonl, line 1: not an object")
        (self.folder / "corpus.jsonl").write_bytes(b"\xff")
        self.refused("corpus.jsonl cannot be read: .*utf-8")

    def test_a_bad_judgement_is_named_by_file_and_number(self) -> None:
        for bad, message in (
            ("q1 d1 1", "line 2: not a query id, a document id and a whole number"),
            ("q1\td1\thigh", "line 2: not a query id, a document id and a whole number"),
            ("q9\td1\t1", "line 2: queries.jsonl has no query q9"),
            ("q1\td9\t1", "line 2: corpus.jsonl has no document d9"),
        ):
            with self.subTest(bad):
                self.judge("query-id\tcorpus-id\tscore", bad)
                self.refused(f"qrels/test.tsv, {message}")
        self.judge("query-id\tcorpus-id\tscore", "q1\td1\t0")
        self.refused("qrels/test.tsv has no relevant document for any query")


class Scores(unittest.TestCase):
    def test_grades_are_gains_and_ranks_discount_them(self) -> None:
        grades = {"a": 4, "b": 1, "c": 2}
        best = 4 + 2 / log2(3) + 1 / 2
        self.assertAlmostEqual(ranking.ndcg(["a", "c", "b"], grades), 1)
        self.assertAlmostEqual(ranking.ndcg(["x", "b", "a"], grades), (1 / log2(3) + 4 / 2) / best)
        self.assertEqual(ranking.ndcg(["x", "y"], grades), 0)

    def test_only_ten_ranks_count_found_or_best(self) -> None:
        many = {f"d{number}": 1 for number in range(30)}
        self.assertAlmostEqual(ranking.ndcg(list(many), many), 1)
        self.assertEqual(ranking.ndcg([*map(str, range(10)), "d1"], many), 0)

    def test_recall_counts_the_first_hundred_whatever_their_grades(self) -> None:
        others = [str(number) for number in range(99)]
        self.assertEqual(ranking.recall([*others, "a", "b"], {"a": 1, "b": 4}), 0.5)
        self.assertEqual(ranking.recall(["b", *others, "a"], {"a": 4, "b": 1}), 0.5)

    def test_the_most_similar_come_first_and_ties_by_descending_id(self) -> None:
        # "10" comes before "9" as text.
        documents = np.array([[0, 1], [1, 0], [1, 0], [0.6, 0.8]], np.float32)
        queries = np.array([[1, 0]] * ranking.BLOCK + [[0, 1]], np.float32)
        found = ranking.search(queries, documents, ["a", "10", "9", "b"])
        self.assertEqual(found, [["9", "10", "b", "a"]] * ranking.BLOCK + [["a", "b", "9", "10"]])
        self.assertEqual(ranking.search(queries[:1], documents, ["a", "10", "9", "b"], depth=1), [["9"]])

    def test_a_benchmark_has_a_score_for_each_query(self) -> None:
        queries = [beir.Query("", {"a": 1}), beir.Query("", {"a": 2, "b": 1})]
        benchmark = beir.Benchmark("two", {"a": "", "b": ""}, queries, 0)
        found = retrieval.score(benchmark, np.array([[1, 0], [0, 1]]), np.array([[1, 0], [0, 1]]))
        second = (1 + 2 / log2(3)) / (2 + 1 / log2(3))
        np.testing.assert_allclose(found, [[1, second], [1, 1]])

    def test_the_table_has_means_and_differences_with_their_standard_errors(self) -> None:
        exact, other = np.array([[0.5, 0.7, 0.9], [1, 1, 0]]), np.array([[0.6, 0.7, 0.7], [1, 1, 1]])
        lines = retrieval.table({"float32": exact, "int8": other})
        self.assertEqual(lines[2], "| float32 | 0.7000 | 0.6667 | - |")
        # Differences of 0.1, 0 and -0.2: their standard deviation is the root of 0.07 / 3, divided by the root of 3.
        self.assertEqual(lines[3], "| int8 | 0.6667 | 1.0000 | -0.0333 ± 0.0882 |")


class Embedding(Folder):
    """The binary with the fixture, whose queries have an instruction and whose texts are cut at 64 tokens."""

    texts = [f"text {number} " + "word " * number for number in range(0, 2 * retrieval.BATCH + 3)]

    def setUp(self) -> None:
        super().setUp()
        for part, target in {BINARY: "build", LIBRARY: "runtime"}.items():
            self.assertTrue(part.exists(), f"{part} is missing; `make {target}` brings it")
        self.kept = self.folder / "kept" / "vectors.f32"

    @contextlib.contextmanager
    def embedder(self, model: Path = FIXTURE) -> Iterator[retrieval.Embedder]:
        with retrieval.serving(BINARY, LIBRARY, model) as embedder, contextlib.redirect_stderr(io.StringIO()):
            yield embedder

    def test_vectors_are_the_graphs_in_the_texts_order_with_the_instruction_before_queries(self) -> None:
        encode = tokenizer.load(FIXTURE / manifest.TOKENIZER, manifest.read(FIXTURE)["max_tokens"])
        graph = session.load(FIXTURE / manifest.MODEL)
        with self.embedder() as embedder:
            for input_type, prefix in {"passage": "", "query": "query: "}.items():
                expected = session.embed(graph, [encode(prefix + text) for text in self.texts])
                found = embedder.embed(self.texts, input_type)
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    def test_an_interrupted_run_goes_on_and_a_whole_one_is_not_made_again(self) -> None:
        with self.embedder() as embedder:
            whole = retrieval.documents(embedder, self.texts, self.kept, "small")
            content = self.kept.read_bytes()
            self.assertEqual(content, whole.tobytes())
            self.kept.write_bytes(content[: 40 * whole[0].nbytes + 7])
            for expected in (len(self.texts) - 40, 0):
                with patch.object(embedder, "batches", wraps=embedder.batches) as asked:
                    again = retrieval.documents(embedder, self.texts, self.kept, "small")
                self.assertEqual(len(asked.call_args.args[0]), expected)
                self.assertTrue(np.array_equal(again, whole))

    def test_vectors_that_the_binary_would_not_give_are_made_again(self) -> None:
        with self.embedder() as embedder:
            whole = retrieval.documents(embedder, self.texts, self.kept, "small")
            np.roll(whole, 1).tofile(self.kept)
            self.assertTrue(np.array_equal(retrieval.documents(embedder, self.texts, self.kept, "small"), whole))

    def test_other_texts_and_another_model_are_kept_elsewhere(self) -> None:
        benchmark = beir.read(self.folder)
        first = retrieval.place(benchmark, FIXTURE)
        self.assertEqual(first, retrieval.place(benchmark, FIXTURE))
        self.assertNotEqual(first, retrieval.place(benchmark, Path("models/fixture-stock")))
        self.write("corpus.jsonl", {"_id": "d1", "title": "On wings", "text": "Lift!"}, {"_id": "d2", "text": "Drag."})
        self.assertNotEqual(first, retrieval.place(beir.read(self.folder), FIXTURE))

    def test_the_binarys_message_is_passed_on(self) -> None:
        with self.embedder() as embedder:
            with self.assertRaisesRegex(retrieval.EmbedderFailed, "answered 400: .*input_type"):
                embedder.embed(["text"], "passages")
        broken = self.folder / "model"
        shutil.copytree(FIXTURE, broken)
        (broken / manifest.TOKENIZER).write_text("{}")
        with self.assertRaisesRegex(retrieval.EmbedderFailed, "did not start"), self.embedder(broken):
            self.fail("a model with a wrong file was taken")


class Command(Folder):
    def test_it_prints_the_scores_of_three_models(self) -> None:
        build(BGE_SMALL)
        self.write(
            "corpus.jsonl",
            {"_id": "d1", "title": "Bread", "text": "Flour, water, salt and yeast are kneaded and baked."},
            {"_id": "d2", "text": "A glacier is a river of ice."},
            {"_id": "d3", "title": "Rails", "text": "Trains run on two parallel steel rails."},
        )
        self.write("queries.jsonl", {"_id": "q1", "text": "how is bread made"}, {"_id": "q2", "text": "frozen rivers"})
        # The glacier is first for q2, but not relevant to it.
        self.judge("q1\td1\t2", "q2\td1\t1", "q2\td3\t1")
        out, said = io.StringIO(), io.StringIO()
        arguments = ["retrieval", str(self.folder)]
        with patch("sys.argv", arguments), patch.object(retrieval, "KEPT", self.folder / "kept"):
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
                self.assertEqual(retrieval.main(), 0, said.getvalue())
        lines = out.getvalue().splitlines()
        score = (1 + (1 / log2(3) + 1 / 2) / (1 + 1 / log2(3))) / 2
        self.assertIn("small: 3 documents, 2 queries, 3 relevant pairs", lines)
        self.assertIn(f"| float32 | {score:.4f} | 1.0000 | - |", lines)
        for name in ("ours, int8", "stock int8"):
            self.assertIn(f"| {name} | {score:.4f} | 1.0000 | +0.0000 ± 0.0000 |", lines)
        self.assertIn("small, ours, int8: 100%", said.getvalue())

    def test_a_folder_that_is_not_a_benchmark_ends_with_one_line(self) -> None:
        said = io.StringIO()
        with patch("sys.argv", ["retrieval", str(self.folder / "qrels")]), contextlib.redirect_stderr(said):
            self.assertEqual(retrieval.main(), 1)
        self.assertRegex(said.getvalue(), r"\Atools.retrieval: .*/qrels has neither qrels/test.tsv nor .*\n\Z")


if __name__ == "__main__":
    unittest.main()
