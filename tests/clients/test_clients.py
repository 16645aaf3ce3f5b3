"""Every client that users have, in its own language, against `bootstrap serve`.

A row of CLIENTS names a client's program, which reads jobs from standard input, a line of JSON each, and prints a
result for each: the vectors, or the client's error. A new client is a row here and a program beside the others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import numpy

from tests import parts
from tests.clients import encodings
from tests.clients.harness import ROOT, Server


@dataclass(frozen=True)
class Told:
    """The error that the client's user gets instead of vectors; without a status if the client shows none."""

    status: int | None
    message: str


@dataclass(frozen=True)
class Client:
    """A client's program, and how it differs from other clients."""

    command: tuple[str, ...]
    # A part of tests/parts.json that its command needs besides Python.
    part: str = ""
    # The path that its base URL has after the function's URL.
    base: str = "/v1"
    # TEI's contract has one model and no name for it.
    names_model: bool = True
    # The client's own errors for an empty text and for a missing key, if it does not send these.
    empty: Told | None = None
    keyless: Told | None = None
    # The message that its user reads instead of the function's.
    hides: str = ""
    # Whether it shows its user which texts were truncated.
    truncated: bool = False
    # "set": the user may set the number of texts in a request. "always": it is below 101 unless set.
    batches: str = ""


def python(name: str, *arguments: str, **differs: object) -> Client:
    return Client((sys.executable, "-W", "ignore", "-m", f"tests.clients.python.{name}", *arguments), **differs)


def node(name: str, **differs: object) -> Client:
    return Client(("node", f"target/clients-node/{name}.mjs"), part="node", **differs)


def java(name: str, **differs: object) -> Client:
    folder = f"target/clients-java/{name}"
    return Client(("java", "-cp", f"{folder}/classes:{folder}/lib/*", "Client"), part="java", **differs)


def go(name: str, **differs: object) -> Client:
    return Client((f"target/clients-go/{name}",), part="go", **differs)


MISSING = Told(None, "Missing credentials")
TEI = {"base": "", "names_model": False}

CLIENTS = {
    "openai-python": python("openai_python", keyless=MISSING, truncated=True),
    "LangChain OpenAIEmbeddings": python("langchain", keyless=MISSING, batches="set"),
    "LlamaIndex OpenAIEmbedding": python("llamaindex", keyless=MISSING, batches="always"),
    "LlamaIndex TextEmbeddingsInference": python("llamaindex_tei", hides="valid list", batches="always", **TEI),
    "huggingface_hub": python("huggingface", **TEI),
    "LiteLLM openai": python("litellm_openai", keyless=Told(500, MISSING.message)),
    "LiteLLM huggingface": python("litellm_tei", **TEI),
    "Haystack": python("haystack_openai", keyless=Told(None, "OPENAI_API_KEY"), batches="always"),
    "Chroma OpenAIEmbeddingFunction": python("chroma", keyless=Told(None, "CHROMA_OPENAI_API_KEY")),
    "Chroma HuggingFaceEmbeddingServer": python(
        "chroma", "tei", base="/embed", names_model=False, hides="could not convert string to float: 'error'"
    ),
    "openai-node": node("openai", keyless=MISSING, truncated=True),
    "@langchain/openai": node("langchain", keyless=MISSING, batches="set"),
    "AI SDK": node("ai_sdk", batches="set"),
    "@huggingface/inference": node("huggingface", **TEI),
    "@huggingface/inference with a model's path": node("huggingface", base="/models/fixture", names_model=False),
    "@huggingface/inference with a model's pipeline": node(
        "huggingface", base="/models/fixture/pipeline/feature-extraction", names_model=False
    ),
    "openai-java": java(
        "openai-java", keyless=Told(None, "At least one credential source must be specified"), truncated=True
    ),
    "LangChain4j": java("langchain4j", empty=Told(None, "cannot be null or blank"), batches="set"),
    "Spring AI 1": java("spring-ai-1", base=""),
    "Spring AI 1 with /v1": java("spring-ai-1"),
    "openai-go": go("openai-go", truncated=True),
    "go-openai": go("go-openai"),
}

ONE_TEXT = ["hello world"]
THREE_TEXTS = ["Ærlig talt,\r\nça va?\n", "東京は\t日本の\n首都", "🦀 crab 👩‍🚀\n\n"]
WORDS = " ".join(f"word{place % 97}" for place in range(2_000))
MANY = [f"text {place}" for place in range(250)]


class Clients(unittest.TestCase):
    """One test for each client, made from CLIENTS below."""

    @classmethod
    def setUpClass(cls) -> None:
        variables = {
            "open": {},
            "locked": {"EMBED_API_KEY": "sesame"},
            "narrow": {"EMBED_MAX_TEXTS": "100"},
            "aliased": {"EMBED_MODEL_ALIASES": "text-embedding-3-small"},
        }
        cls.servers = {}
        for name, differs in variables.items():
            cls.servers[name] = Server(**differs)
            cls.addClassCleanup(cls.servers[name].stop)
        home = tempfile.TemporaryDirectory()
        cls.addClassCleanup(home.cleanup)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "HF_"))}
        # No keys or logins of this machine's user, no downloads, no telemetry.
        cls.environment = kept | encodings.VARIABLES | {
            "HF_HOME": home.name,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "HAYSTACK_TELEMETRY_ENABLED": "False",
            "ANONYMIZED_TELEMETRY": "False",
        }

    def check(self, client: Client) -> None:
        if client.part:
            parts.require(self, client.part)
        cases = list(self.cases(client))
        results = self.results(client, [job for _, job, _ in cases])
        for (name, job, told), result in zip(cases, results, strict=True):
            with self.subTest(name):
                if told is None:
                    self.assertNotIn("error", result, result)
                    self.assert_vectors(result["vectors"], job["texts"])
                    cut = [place for place, text in enumerate(job["texts"]) if text == WORDS]
                    self.assertEqual(result.get("truncated") or [], cut if client.truncated else [])
                else:
                    self.assert_told(result, told, client)

    def cases(self, client: Client) -> Iterator[tuple[str, dict, Told | None]]:
        """Each case's name, its job, and the error if it gets no vectors."""

        def job(server: str, texts: list[str] = ONE_TEXT, **differs: object) -> dict:
            url = self.servers[server].url + client.base
            return {"url": url, "key": "any", "model": "fixture", "texts": texts, "batch": None, **differs}

        refused = Told(401, "a valid token is needed")
        many = None if client.batches == "always" else Told(413, "250 texts in one request; the limit is 100")
        yield "one text", job("open"), None
        yield "accents, CJK, emoji, line ends", job("open", THREE_TEXTS), None
        yield "an empty text", job("open", [""]), client.empty
        yield "2,000 words", job("open", [WORDS]), None
        yield "long texts among short ones", job("open", [*ONE_TEXT, WORDS, *ONE_TEXT, WORDS]), None
        # As the URLs of stages and Lambda Function URLs end, before the version and behind it.
        yield "a slash too many", job("open", url=f"{self.servers['open'].url}/{client.base}"), None
        yield "a base URL that ends in a slash", job("open", url=f"{self.servers['open'].url}{client.base}/"), None
        if client.names_model:
            yield "another model", job("open", model="text-embedding-3-small"), Told(404, "EMBED_MODEL_ALIASES")
            yield "an alias", job("aliased", model="text-embedding-3-small"), None
            yield "a placeholder", job("open", model="text-embeddings-inference"), None
        yield "no key where none is asked for", job("open", key=None), client.keyless
        yield "no key", job("locked", key=None), client.keyless or refused
        yield "a wrong key", job("locked", key="guess"), refused
        yield "the key", job("locked", key="sesame"), None
        yield "more texts than a request takes", job("narrow", MANY), many
        if client.batches:
            yield "the same in batches", job("narrow", MANY, batch=100), None

    def results(self, client: Client, jobs: list[dict]) -> list[dict]:
        """The output of the client's program for the jobs."""
        lines = "".join(json.dumps(job) + "\n" for job in jobs)
        options = {"cwd": ROOT, "env": self.environment, "capture_output": True, "text": True, "encoding": "utf-8"}
        done = subprocess.run(client.command, input=lines, timeout=120, **options)
        self.assertEqual(done.returncode, 0, done.stderr[-2_000:])
        return [json.loads(line) for line in done.stdout.splitlines()]

    def assert_vectors(self, found: list[list[float]], texts: list[str]) -> None:
        """Fails unless they are the vectors of `/embed`."""
        body = json.dumps({"inputs": texts}).encode()
        request = urllib.request.Request(self.servers["open"].url + "/embed", body)
        with urllib.request.urlopen(request, timeout=30) as answer:
            expected = json.load(answer)
        self.assertEqual(numpy.shape(found), numpy.shape(expected))
        numpy.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)

    def assert_told(self, result: dict, told: Told, client: Client) -> None:
        self.assertNotIn("vectors", result)
        if client.hides:
            self.assertIn(client.hides, result["message"])
            self.assertNotIn(told.message, result["message"])
        else:
            self.assertIn(told.message, result["message"])
            self.assertEqual(result.get("status"), told.status, result)


def add_test(name: str, client: Client) -> None:
    def test(self: Clients) -> None:
        self.check(client)

    test.__doc__ = name
    setattr(Clients, "test_" + "".join(letter if letter.isalnum() else "_" for letter in name.lower()), test)


for row in CLIENTS.items():
    add_test(*row)

if __name__ == "__main__":
    unittest.main()
