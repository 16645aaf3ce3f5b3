"""openai-node, as its users call it."""

from __future__ import annotations

import json
import shutil
import subprocess
import unittest

from tests import parts
from tests.clients.harness import ROOT, TEXTS, ServedCase, float32, invoked

SOURCE = ROOT / "tests/clients/node"
# The packages go below target/, where everything fetched is.
FOLDER = ROOT / "target/clients-node"
FILES = ("package.json", "package-lock.json", "embeddings.mjs")


def node_is_there() -> bool:
    if not (shutil.which("node") and shutil.which("npm")):
        return False
    version = subprocess.run(["node", "--version"], capture_output=True, text=True).stdout
    return int(version.removeprefix("v").split(".")[0] or 0) >= 20


class OpenAiNode(ServedCase):
    @classmethod
    def setUpClass(cls) -> None:
        parts.require(cls, "node", node_is_there())
        super().setUpClass()
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            shutil.copy(SOURCE / name, FOLDER / name)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=120)

    def test_vectors_are_the_same_and_token_ids_are_refused(self) -> None:
        command = ["node", "embeddings.mjs", self.url + "/v1"]
        texts = json.dumps({"model": "fixture", "texts": TEXTS})
        done = subprocess.run(command, cwd=FOLDER, input=texts, capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        expected = invoked({"input": TEXTS})
        self.assertEqual(float32(found["standard"]), expected)
        self.assertEqual(float32(found["float"]), expected)
        self.assertEqual((found["refused"]["status"], found["refused"]["param"]), (400, "input"))
        self.assertIn("check_embedding_ctx_length=False", found["refused"]["message"])


if __name__ == "__main__":
    unittest.main()
