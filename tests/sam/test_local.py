"""The function that `sam build` made, run by `sam local` in Docker: bundled model, model from S3, the API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

from tests import parts
from tests.sam import harness
from tests.sam.template import BUILT, ROOT
from tools import sam_local

TEXTS = ["where is my order?", "Ærlig talt: 東京 🦀", "the quick brown fox jumps over the lazy dog " * 20]


class Built(unittest.TestCase):
    def test_the_folder_holds_what_the_function_needs_and_no_more(self) -> None:
        folder = BUILT.parent / "EmbedFunction"
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        library = {"lib/libonnxruntime.so", "lib/libonnxruntime.LICENSE.txt", "lib/libonnxruntime.ThirdPartyNotices.txt"}
        library |= {"lib/libpdfium.so", "lib/libpdfium.LICENSES.txt"}
        model = {"model/manifest.json", "model/model.ort", "model/tokenizer.json"}
        self.assertEqual(files, {"bootstrap"} | library | model)
        self.assertTrue(os.access(folder / "bootstrap", os.X_OK))


class Local(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        harness.require_docker(cls)
        harness.environment()

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="lambda-embed-sam-")
        self.addCleanup(scratch.cleanup)
        self.scratch = Path(scratch.name)

    def test_every_sample_event_is_answered(self) -> None:
        parts.require(self, "s3")
        for event in sorted((ROOT / "events").glob("*.json")):
            with self.subTest(event.name):
                answer, records = sam_local.answer(harness.SAM, event, harness.environment())
                if "created" in event.name or event.name.endswith(("-s3.json", "-put.json", "-eventbridge.json")):
                    self.assertTrue(records)
                    self.assertEqual({record["model"] for record in records}, {harness.model_id()})
                if isinstance(answer, dict) and "statusCode" in answer:
                    self.assertEqual(answer["statusCode"], 200, answer)
                elif isinstance(answer, dict) and "embeddings" in answer:
                    self.assertEqual(answer["model"], harness.model_id())
                if event.name.startswith("sqs"):
                    self.assertEqual(answer, {"batchItemFailures": []})

    def test_vectors_are_those_of_the_plain_binary(self) -> None:
        event = harness.direct(self.scratch, TEXTS)
        answer, wanted = harness.invoke(event), harness.reference(event)
        self.assertEqual(len(answer["embeddings"]), len(TEXTS))
        for ours, theirs in zip(answer["embeddings"], wanted["embeddings"], strict=True):
            self.assertEqual(ours, theirs)

    def test_a_model_comes_from_s3(self) -> None:
        parts.require(self, "s3")
        event = harness.direct(self.scratch, TEXTS)
        with harness.s3_server() as server:
            urllib.request.urlopen(urllib.request.Request(f"{server}/models", method="PUT")).close()
            s3 = {"AWS_ENDPOINT_URL_S3": server}
            command = [harness.BOOTSTRAP, "push-model", harness.model(), "--to", "s3://models/a/b"]
            subprocess.run(command, check=True, capture_output=True, env={**harness.environment(), **s3})
            # The folder has no model, so the model can only have come from S3.
            template = sam_local.with_variables(self.scratch, **s3)
            bare = self.scratch / "bare"
            bare.mkdir()
            for name in ("bootstrap", "lib"):
                subprocess.run(["cp", "-r", BUILT.parent / "EmbedFunction" / name, bare], check=True)
            written = json.loads(template.read_text())
            written["Resources"]["EmbedFunction"]["Properties"]["CodeUri"] = str(bare)
            template.write_text(json.dumps(written))
            options = ["--template", str(template)]
            found = ["--parameter-overrides", "ModelBucket=models ModelPrefix=a/b"]
            answer = harness.invoke(event, *options, *found)
            self.assertEqual(answer["embeddings"], harness.reference(event)["embeddings"])
            with Api(*options, *found) as url:
                vectors = post(f"{url}/embed", {"inputs": TEXTS})
                for ours, theirs in zip(answer["embeddings"], vectors, strict=True):
                    self.assertGreater(harness.cosine(ours, theirs), 0.999999)
            missing = ["--parameter-overrides", "ModelBucket=models ModelPrefix=elsewhere"]
            with self.assertRaisesRegex(sam_local.Failed, "elsewhere/manifest.json"):
                harness.invoke(event, *options, *missing)

    def test_the_api_answers_both_contracts_on_its_one_route(self) -> None:
        with Api() as url:
            answer = post(f"{url}/v1/embeddings", {"input": TEXTS})
            self.assertEqual([row["index"] for row in answer["data"]], list(range(len(TEXTS))))
            vectors = post(f"{url}/embed", {"inputs": TEXTS})
            self.assertEqual(post(f"{url}/", {"inputs": TEXTS}), vectors)
            for ours, theirs in zip(answer["data"], vectors, strict=True):
                self.assertGreater(harness.cosine(ours["embedding"], theirs), 0.999999)
            with urllib.request.urlopen(f"{url}/health") as health:
                self.assertEqual(health.headers["x-model-id"], harness.model_id())
            with self.assertRaises(urllib.error.HTTPError) as refused:
                post(f"{url}/v1/embeddings", {"input": []})
            self.assertEqual(refused.exception.code, 400)
            refused.exception.close()


class Api:
    """`sam local start-api` on a free port, from the built template unless `options` name another."""

    def __init__(self, *options: str) -> None:
        self.options = options

    def __enter__(self) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [harness.SAM, "local", "start-api", "--port", str(port), "--skip-pull-image"]
        command += ["--disable-authorizer", "--warm-containers", "EAGER", *self.options]
        self.log = tempfile.TemporaryFile(mode="w+")
        environment = harness.environment()
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return f"http://127.0.0.1:{port}"
            except OSError:
                time.sleep(0.2)
        self.log.seek(0)
        printed = self.log.read()[-2000:]
        self.__exit__()
        raise RuntimeError(f"sam local start-api did not start: {printed}")

    def __exit__(self, *_: object) -> None:
        # An interrupt, because SAM then removes its containers.
        self.process.send_signal(2)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def post(url: str, body: object) -> object:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


if __name__ == "__main__":
    unittest.main()
