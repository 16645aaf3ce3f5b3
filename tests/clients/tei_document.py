"""text-embeddings-inference's own OpenAPI document against the running function.

Not part of `make test-clients`, because not every network reaches the document: `make test-tei-document` downloads it.
TEI_DOCUMENT=<file> takes it from a file instead.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

from tests.clients.harness import ServedCase

# The document of the release that docs/http.md compares with.
SOURCE = "https://raw.githubusercontent.com/huggingface/text-embeddings-inference/v1.9.3/docs/openapi.json"
SHA256 = "f4c15add6d2b85212612cbf3061153e787aaa86813d1e4cc65717ce410523f66"
EXAMPLES = "50"
# The document's other routes are not here, as docs/http.md says.
OURS = "^/(embed|similarity|tokenize|info|health)$"
OPENAI = "^/v1/embeddings$"


class TeiDocument(ServedCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        scratch = tempfile.TemporaryDirectory(prefix="tei-document-")
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = Path(scratch.name)
        if given := os.environ.get("TEI_DOCUMENT"):
            document = Path(given).read_bytes()
        else:
            with urllib.request.urlopen(SOURCE, timeout=30) as answer:
                document = answer.read()
        found = hashlib.sha256(document).hexdigest()
        if found != SHA256:
            raise ValueError(f"the document has the sha256 {found}, expected {SHA256}")
        cls.document = cls.scratch / "openapi.json"
        cls.document.write_bytes(document)

    def run_on(self, paths: str, checks: str) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).parent / "schemathesis", "run", self.document, "--url", self.url]
        command += ["--include-path-regex", paths, "--checks", checks, "--max-examples", EXAMPLES, "--seed", "5"]
        command += ["--workers", "1", "--request-timeout", "10", "--no-color", "--generation-database", "none"]
        return subprocess.run(command, cwd=self.scratch, capture_output=True, text=True, timeout=600)

    def assert_met(self, done: subprocess.CompletedProcess[str]) -> None:
        self.assertEqual(done.returncode, 0, done.stdout[-12_000:] + done.stderr[-2_000:])

    def test_its_own_routes_are_as_it_says(self) -> None:
        self.assert_met(self.run_on(OURS, "not_a_server_error,content_type_conformance,response_schema_conformance"))

    def test_openais_route_differs_in_the_shape_of_errors_alone(self) -> None:
        self.assert_met(self.run_on(OPENAI, "not_a_server_error,content_type_conformance"))
        differs = self.run_on(OPENAI, "response_schema_conformance")
        self.assertNotEqual(differs.returncode, 0)
        self.assertIn("error_type", differs.stdout, "the field that TEI's errors have and OpenAI's have not")
        self.assertNotIn("[200] OK", differs.stdout)


if __name__ == "__main__":
    unittest.main()
