"""Tests that lack a part fail and name it, or are left out and counted if TESTS_WITHOUT names it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tests import parts

# A run of three tests, two of which need Chromium; the run believes that Chromium is missing.
SUITE = """
import unittest
from tests import parts

class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        parts.require(cls, "chromium", False)
    def test_one(self): pass
    def test_two(self): pass

class Other(unittest.TestCase):
    def test_three(self): pass

unittest.main()
"""


class Parts(unittest.TestCase):
    def run_suite(self, without: str, outer: str = "") -> subprocess.CompletedProcess[str]:
        """Runs SUITE; its count goes to the file `outer`, not to the run of this test."""
        paths = {"PYTHONPATH": str(parts.ROOT), parts.LEFT_OUT: outer}
        environment = {**os.environ, parts.WITHOUT: without, **paths}
        with tempfile.TemporaryDirectory() as folder:
            suite = Path(folder) / "suite.py"
            suite.write_text(SUITE)
            command = [sys.executable, "-m", "tests.parts", sys.executable, str(suite)]
            return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def test_a_missing_part_fails_and_says_what_brings_it(self) -> None:
        ran = self.run_suite("")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("Chromium is missing: install it (Debian: `apt-get install chromium`)", ran.stderr)
        self.assertEqual(ran.stdout.splitlines()[-1], "left out: nothing")

    def test_a_run_without_a_part_says_how_many_tests_were_left_out(self) -> None:
        ran = self.run_suite("qdrant, chromium")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertEqual(ran.stdout.splitlines()[-1], "left out: 2 tests (chromium 2)")

    def test_the_whole_run_counts_what_its_runs_left_out(self) -> None:
        with tempfile.NamedTemporaryFile("r") as outer:
            self.run_suite("chromium", outer.name)
            self.assertEqual(outer.read(), "chromium\nchromium\n")

    def test_an_unknown_part_is_an_error_that_lists_the_parts(self) -> None:
        ran = self.run_suite("qdrnat")
        self.assertEqual((ran.returncode, ran.stdout), (2, ""))
        self.assertIn("qdrnat is no part; the parts are model, s3, qdrant,", ran.stderr)

    def test_a_part_that_is_here_lets_its_test_run(self) -> None:
        with mock.patch.dict(os.environ, {parts.WITHOUT: ""}):
            parts.require(self, "chromium", "/usr/bin/chromium")
            with self.assertRaisesRegex(parts.Missing, "run `make nothing`; TESTS_WITHOUT=x "):
                with mock.patch.dict(parts.PARTS, {"x": {"what": "x", "bring": "run `make nothing`", "files": ["none"]}}):
                    parts.require(self, "x")

    def test_the_summary_names_the_parts(self) -> None:
        lines = ["qdrant\n"] * 8 + ["documents\n"] * 3 + ["s3+qdrant\n"]
        self.assertEqual(parts.summary(lines), "left out: 12 tests (qdrant 8, documents 3, s3+qdrant 1)")
        self.assertEqual(parts.summary([]), "left out: nothing")


if __name__ == "__main__":
    unittest.main()
