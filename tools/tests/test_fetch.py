"""Downloads end whole and verified or not at all, whatever the server does. Loopback only."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from tools import fetch
from tools.fetch import HubUnavailable, Patience, download
from tools.integrity import IntegrityError
from tools.sources import HubFiles, Source
from tools.tests.server import Behaviour, serving

CONTENT = b"".join(hashlib.sha256(str(index).encode()).digest() for index in range(4096))  # 128 KiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HURRIED = Patience(connect=1, read=2, attempts=2, backoff=0.01)


class Downloads(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.target = Path(folder.name) / "file.bin"
        self.part = Path(folder.name) / "file.bin.part"
        self.enterContext(contextlib.redirect_stderr(io.StringIO()))

    def serve(self, **behaviour: object) -> Behaviour:
        return self.enterContext(serving(Behaviour(CONTENT, **behaviour)))

    def download(self, url: str) -> None:
        download(url, self.target, SHA256, HURRIED)

    def assert_whole(self) -> None:
        self.assertEqual(self.target.read_bytes(), CONTENT)
        self.assertFalse(self.part.exists())

    def assert_nothing(self) -> None:
        self.assertFalse(self.target.exists())

    def test_a_download_arrives_whole(self) -> None:
        self.download(self.serve().url)
        self.assert_whole()

    def test_a_part_is_resumed_where_it_ends(self) -> None:
        self.part.write_bytes(CONTENT[:50_000])
        server = self.serve()
        self.download(server.url)
        self.assert_whole()
        self.assertEqual(server.ranges_seen, ["bytes=50000-"])

    def test_a_truncated_body_is_resumed(self) -> None:
        server = self.serve(cut_after=[30_000, 40_000])
        self.download(server.url)
        self.assert_whole()
        self.assertEqual(server.ranges_seen, [None, "bytes=30000-", "bytes=70000-"])

    def test_a_server_that_ignores_the_range_starts_over(self) -> None:
        self.part.write_bytes(CONTENT[:50_000])
        self.download(self.serve(honours_range=False).url)
        self.assert_whole()

    def test_a_wrong_part_is_thrown_away_and_fetched_again(self) -> None:
        self.part.write_bytes(b"x" * 50_000)
        server = self.serve()
        self.download(server.url)
        self.assert_whole()
        self.assertEqual(server.ranges_seen, ["bytes=50000-", None])

    def test_a_part_longer_than_the_file_is_thrown_away(self) -> None:
        self.part.write_bytes(CONTENT + b"more")
        self.download(self.serve().url)
        self.assert_whole()

    def test_a_part_that_is_whole_already_is_taken(self) -> None:
        self.part.write_bytes(CONTENT)
        self.download(self.serve().url)
        self.assert_whole()

    def test_one_flipped_byte_is_refused(self) -> None:
        server = self.serve()
        server.content = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]
        with self.assertRaisesRegex(IntegrityError, "file.bin.*expected " + SHA256):
            self.download(server.url)
        self.assert_nothing()
        self.assertFalse(self.part.exists())

    def test_a_busy_server_is_asked_again(self) -> None:
        self.download(self.serve(statuses=[503]).url)
        self.assert_whole()

    def test_a_server_that_stays_busy_is_unavailable(self) -> None:
        with self.assertRaisesRegex(HubUnavailable, "503"):
            self.download(self.serve(statuses=[503] * 9).url)
        self.assert_nothing()

    def test_a_refusal_is_not_repeated(self) -> None:
        server = self.serve(statuses=[403] * 9)
        with self.assertRaisesRegex(HubUnavailable, "403"):
            self.download(server.url)
        self.assertEqual(len(server.ranges_seen), 1)

    def test_a_closed_port_is_unavailable(self) -> None:
        with self.assertRaisesRegex(HubUnavailable, r"^127\.0\.0\.1:\d+ did not answer \(.+\)$"):
            self.download(_closed_port())
        self.assert_nothing()

    def test_a_silent_server_is_given_up(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            started = time.monotonic()
            with self.assertRaises(HubUnavailable):
                url = f"http://127.0.0.1:{silent.getsockname()[1]}"
                download(url, self.target, SHA256, Patience(connect=0.2, read=0.2, attempts=2, backoff=0.01))
        self.assertLess(time.monotonic() - started, 5)

    def test_a_download_killed_half_way_is_resumed(self) -> None:
        server = self.serve(seconds_per_chunk=0.05)
        script = (
            "import sys, pathlib, tools.fetch as f; f.download(sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3])"
        )
        victim = subprocess.Popen(
            [sys.executable, "-c", script, server.url, str(self.target), SHA256], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while not (self.part.exists() and self.part.stat().st_size > 0) and time.monotonic() < deadline:
            time.sleep(0.01)
        victim.kill()
        victim.wait()
        self.assert_nothing()
        have = self.part.stat().st_size
        self.assertTrue(0 < have < len(CONTENT), have)
        server.seconds_per_chunk = 0
        self.download(server.url)
        self.assert_whole()
        self.assertEqual(server.ranges_seen[-1], f"bytes={have}-")


class Commands(unittest.TestCase):
    """`fetch` as the Makefile sees it."""

    def test_files_come_from_the_named_endpoint_once(self) -> None:
        files = HubFiles("owner/model", "r1", {"a.bin": SHA256, "b.bin": SHA256})
        source = Source("m", "owner/model", "MIT", files, "cls", 512)
        with tempfile.TemporaryDirectory() as cache, serving(Behaviour(CONTENT)) as server:
            with mock.patch.dict(os.environ, HF_ENDPOINT=server.url), contextlib.redirect_stderr(io.StringIO()):
                for _ in range(2):
                    folder = fetch.fetch(source, Path(cache), HURRIED)
            self.assertEqual((folder / "b.bin").read_bytes(), CONTENT)
            self.assertEqual(len(server.ranges_seen), 2)

    def test_an_unreachable_hub_is_status_69_and_one_line(self) -> None:
        with tempfile.TemporaryDirectory() as cache:
            outcome = subprocess.run(
                [sys.executable, "-m", "tools.fetch", "bge-small-en-v1.5", "--cache", cache],
                env={**os.environ, "HF_ENDPOINT": _closed_port()},
                capture_output=True,
                text=True,
                timeout=30,
            )
        self.assertEqual(outcome.returncode, 69)
        self.assertEqual(len(outcome.stderr.splitlines()), 1, outcome.stderr)
        self.assertIn("did not answer", outcome.stderr)


def _closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


if __name__ == "__main__":
    unittest.main()
