"""The search task and the texts that models are calibrated with and measured on."""

from __future__ import annotations

import unittest

import numpy as np

from tools import calibration, corpus, retrieval


class SearchTask(unittest.TestCase):
    def test_no_question_stands_in_what_it_should_find(self) -> None:
        task = retrieval.task()
        self.assertEqual((len(task.questions), len(task.documents)), (retrieval.QUESTIONS, retrieval.DOCUMENTS))
        self.assertEqual(len(set(task.questions)), len(task.questions))
        said = [question.removeprefix("Where is it explained that ").removesuffix("?") for question in task.questions]
        self.assertFalse([text for text in said if any(text in document for document in task.documents)])

    def test_every_question_has_one_best_answer(self) -> None:
        task = retrieval.task()
        self.assertTrue((task.grades.max(axis=1) == retrieval.OWN_GRADE).all())
        self.assertTrue(((task.grades == retrieval.OWN_GRADE).sum(axis=1) == 1).all())

    def test_a_perfect_order_scores_one_and_a_backward_one_next_to_nothing(self) -> None:
        grades = np.eye(12) * retrieval.OWN_GRADE
        self.assertAlmostEqual(retrieval.ndcg(np.eye(12), np.eye(12), grades), 1)
        self.assertLess(retrieval.ndcg(-np.eye(12), np.eye(12), grades), 0.2)


class Texts(unittest.TestCase):
    def test_calibration_is_the_same_everywhere(self) -> None:
        texts = calibration.texts()
        self.assertEqual(texts, calibration.texts())
        self.assertEqual(len(texts), calibration.TEXTS)
        self.assertFalse(set(texts) & set(corpus.paragraphs(400)))
        self.assertFalse([text for text in texts if "{" in text.replace("{}", "")])

    def test_there_is_enough_to_measure_on(self) -> None:
        self.assertEqual(len(set(corpus.paragraphs(400))), 400)
        self.assertEqual(len(set(corpus.sentences(250))), 250)
        with self.assertRaisesRegex(ValueError, "asked for"):
            corpus.paragraphs(10**6)


if __name__ == "__main__":
    unittest.main()
