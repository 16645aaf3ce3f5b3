"""The Dockerfile's image, run under AWS's emulator: a container-image function answers as the zip does."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from tests.sam import harness
from tests.sam.template import BUILT, ROOT
from tests.sam.test_local import TEXTS
from tools.invoke import INVOCATIONS, free_port

EMULATOR = ROOT / "target/emulator/aws-lambda-rie"


class Image(unittest.TestCase):
    def test_an_image_of_the_packages_folder_answers(self) -> None:
        harness.require_docker(self)
        environment = harness.environment()
        tag = "lambda-embed:test"
        folder = BUILT.parent / "EmbedFunction"
        command = ["docker", "build", "--quiet", "--tag", tag, "--file", ROOT / "Dockerfile", folder]
        built = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        self.assertEqual(built.returncode, 0, built.stderr)
        port = free_port()
        command = ["docker", "run", "--rm", "--detach", "--network", "host", "--entrypoint", "/rie"]
        command += ["--volume", f"{EMULATOR}:/rie:ro", tag, "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
        command += ["--runtime-api-address", f"127.0.0.1:{free_port()}", "/var/runtime/bootstrap"]
        container = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()
        stop = ["docker", "rm", "--force", container]
        self.addCleanup(subprocess.run, stop, capture_output=True, env=environment, check=False)
        with tempfile.TemporaryDirectory(prefix="lambda-embed-image-") as scratch:
            event = harness.direct(Path(scratch), TEXTS)
            answer = self.post(f"http://127.0.0.1:{port}{INVOCATIONS}", event.read_bytes())
            self.assertEqual(answer["embeddings"], harness.reference(event)["embeddings"])

    def post(self, url: str, event: bytes) -> dict:
        """The answer, once the emulator listens."""
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(urllib.request.Request(url, event, method="POST"), timeout=60) as response:
                    return json.load(response)
            except urllib.error.URLError as error:
                if time.monotonic() > deadline:
                    raise error
                time.sleep(0.2)


if __name__ == "__main__":
    unittest.main()
