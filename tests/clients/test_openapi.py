"""The OpenAPI document against the running function: its examples, its schemas, and schemathesis."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.clients.harness import ROOT, ServedCase

# Examples of each operation; with the coverage phase some 40 s on two cores.
EXAMPLES = "25"


class Document(ServedCase):
    def setUp(self) -> None:
        with urllib.request.urlopen(self.url + "/openapi.json", timeout=10) as answer:
            self.document = json.load(answer)

    def resolve(self, node: dict) -> dict:
        while "$ref" in node:
            target: dict = self.document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def check(self, value: object, schema: dict, where: str) -> None:
        whole = {**schema, "components": self.document["components"]}
        with self.subTest(where):
            jsonschema.Draft202012Validator(whole).validate(value)

    def operations(self):
        model = self.document["components"]["parameters"]["ModelName"]["example"]
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                yield path.replace("{id}", model), method, operation

    def test_it_is_a_valid_document(self) -> None:
        OpenAPIV31SpecValidator(self.document).validate()

    def test_request_examples_fit_their_schemas_and_so_do_their_answers(self) -> None:
        count = 0
        for path, method, operation in self.operations():
            answer = self.resolve(operation["responses"]["200"])
            [(media, described)] = answer["content"].items()
            if method == "get":
                with urllib.request.urlopen(self.url + path, timeout=10) as got:
                    content = got.read().decode()
                value = json.loads(content) if media == "application/json" else content
                self.check(value, described["schema"], f"GET {path}")
                continue
            body = self.resolve(operation["requestBody"])["content"]["application/json"]
            for name, example in body["examples"].items():
                self.check(example["value"], body["schema"], f"{path} {name}, request")
                data = json.dumps(example["value"]).encode()
                request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"})
                with urllib.request.urlopen(request, timeout=10) as got:
                    self.check(json.load(got), described["schema"], f"{path} {name}, answer")
                count += 1
        self.assertGreaterEqual(count, 10)

    def test_response_examples_fit_their_schemas(self) -> None:
        count = 0
        for name, response in self.document["components"]["responses"].items():
            for media in response["content"].values():
                if "example" in media:
                    self.check(media["example"], media["schema"], name)
                    count += 1
        self.assertGreaterEqual(count, 15)


class Schemathesis(ServedCase):
    def test_generated_requests_meet_the_contract(self) -> None:
        binary = Path(sys.executable).parent / "schemathesis"
        config = ROOT / "tests/clients/schemathesis.toml"
        command = [binary, "--config-file", config, "run", self.url + "/openapi.json", "--url", self.url, "--checks", "all", "--seed", "5"]
        command += ["--max-examples", EXAMPLES, "--workers", "1", "--request-timeout", "10"]
        command += ["--no-color", "--generation-database", "none"]
        # schemathesis keeps its findings in its working folder; each run here gets a new one.
        with tempfile.TemporaryDirectory() as scratch:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout[-12_000:] + done.stderr[-2_000:])


if __name__ == "__main__":
    unittest.main()
