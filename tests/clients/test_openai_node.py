"""openai-node's two formats, and its error when a request is refused."""

from __future__ import annotations

import json
import subprocess
import unittest

from tests import parts
from tests.clients.harness import ROOT, TEXTS, ServedCase, float32, invoked


class OpenAiNode(ServedCase):
    variables = {"EMBED_TOKEN_IDS": "refuse"}

    def test_vectors_are_the_same_and_token_ids_are_refused(self) -> None:
        parts.require(self, "node")
        command = ["node", ROOT / "target/clients-node/embeddings.mjs", self.url + "/v1"]
        texts = json.dumps({"model": "fixture", "texts": TEXTS})
        done = subprocess.run(command, input=texts, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        expected = invoked({"input": TEXTS})
        self.assertEqual(float32(found["standard"]), expected)
        self.assertEqual(float32(found["float"]), expected)
        self.assertEqual((found["refused"]["status"], found["refused"]["param"]), (400, "input"))
        self.assertIn("check_embedding_ctx_length=False", found["refused"]["message"])


if __name__ == "__main__":
    unittest.main()
