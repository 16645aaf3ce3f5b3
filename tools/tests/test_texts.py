"""The texts for calibrating and measuring models."""

from __future__ import annotations

import unittest

from tools import calibration, corpus


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
