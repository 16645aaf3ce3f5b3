"""How `sam local invoke` is called; programs with SAM's output stand in for SAM."""

from __future__ import annotations

import contextlib
import io
import stat
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from tools import sam_local

EVENT = Path("events/direct-tei.json")
# Like SAM, whose timer keeps it alive for the function's whole timeout.
GIVES_UP = 'echo "No response from invoke container for EmbedFunction" >&2; exec sleep 300'
TIMES_OUT = """echo "Function 'EmbedFunction' timed out after 30 seconds" >&2
echo "No response from invoke container for EmbedFunction" >&2"""
ANSWERS = "echo starting >&2; echo '{\"embeddings\": []}'"
FAILS = """echo '{"errorType": "Runtime.ExitError", "errorMessage": "no model"}'"""


class Invoke(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="lambda-embed-sam-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.enterContext(mock.patch.object(time, "sleep"))

    def sam(self, first: str, then: str) -> Path:
        """A program that runs `first` at its first call, and `then` at every later call."""
        path = self.folder / "sam"
        calls = self.folder / "calls"
        path.write_text(f"#!/bin/sh\necho call >> {calls}\n[ $(wc -l < {calls}) = 1 ] && {{ {first}; exit; }}\n{then}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def calls(self) -> int:
        return len((self.folder / "calls").read_text().splitlines())

    def invoke(self, first: str, then: str) -> object:
        with contextlib.redirect_stderr(io.StringIO()):
            return sam_local.invoke(self.sam(first, then), sam_local.REQUESTS, EVENT)

    def test_an_answer_is_what_was_printed_last(self) -> None:
        self.assertEqual(self.invoke(ANSWERS, FAILS), {"embeddings": []})
        self.assertEqual(self.calls(), 1)

    def test_a_call_that_did_not_reach_the_function_is_repeated(self) -> None:
        began = time.monotonic()
        self.assertEqual(self.invoke(GIVES_UP, ANSWERS), {"embeddings": []})
        self.assertEqual(self.calls(), 2)
        self.assertLess(time.monotonic() - began, 150)

    def test_a_call_that_never_reaches_the_function_fails_with_sams_output(self) -> None:
        with self.assertRaisesRegex(sam_local.Failed, "No response from invoke container"):
            self.invoke(GIVES_UP, GIVES_UP)
        self.assertEqual(self.calls(), sam_local.ATTEMPTS)

    def test_a_function_that_fails_or_runs_out_of_time_is_asked_once(self) -> None:
        for first, said in ((FAILS, "no model"), (TIMES_OUT, "timed out after")):
            with self.subTest(said):
                (self.folder / "calls").unlink(missing_ok=True)
                with self.assertRaisesRegex(sam_local.Failed, said):
                    self.invoke(first, ANSWERS)
                self.assertEqual(self.calls(), 1)


if __name__ == "__main__":
    unittest.main()
