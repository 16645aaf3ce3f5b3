"""The buckets that S3's sample events name, on the tests' S3 server: a document in, its vectors out.

    with Buckets() as buckets:
        …a function with buckets.environment() answers an event…
    buckets.result()    the records in the output
"""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

SERVER = Path("target/s3-server")
DOCUMENTS, VECTORS, PREFIX = "my-documents", "my-vectors", "documents"
# The bucket and the key that every sample of a new object names.
KEY = "guides/getting started.md"
TEXT = """# Getting started

Put a document into the bucket. A moment later its vectors lie in the other one, a record for each passage.

## What is in a record

The passage's place in the document, its text, and its vector.
"""
# The server needs some credentials and accepts any.
OWNER = "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
TIMEOUT_SECONDS = 30


def concerns(event: object) -> bool:
    """Whether an event comes from S3, in any envelope."""
    return isinstance(event, dict) and bool({"Records", "tasks", "detail", "Event"} & event.keys())


class Buckets:
    """A running server with both buckets; use it in a `with` block, which ends it.

    It listens on loopback, or on `host` for a function that reaches this machine by another address.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        python = SERVER / "bin/python"
        if not python.is_file():
            raise RuntimeError(f"{python} is missing; `make s3-server` brings the S3 server")
        command = [str(python), "tests/s3/serve.py", host]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.url = "http://" + self.process.stdout.readline().strip()
        for bucket in (DOCUMENTS, VECTORS):
            self._ask("PUT", bucket)
        self._ask("PUT", f"{DOCUMENTS}/{quote(KEY)}", TEXT.encode())

    def environment(self) -> dict[str, str]:
        """The variables of a function that reads documents from one bucket and writes to the other."""
        return {
            "EMBED_OUTPUT": f"s3://{VECTORS}/{PREFIX}",
            "EMBED_ON_DELETE": "remove",
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }

    def result(self) -> list[dict[str, object]]:
        """The records of the document's vectors; empty if nothing was written."""
        try:
            lines = self._ask("GET", f"{VECTORS}/{quote(f'{PREFIX}/{DOCUMENTS}/{KEY}.jsonl')}")
        except urllib.error.HTTPError as failure:
            if failure.code == 404:
                return []
            raise
        return [json.loads(line) for line in lines.splitlines()]

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"authorization": OWNER, "content-type": "text/markdown"}
        request = urllib.request.Request(f"{self.url}/{path}", data=body, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            return response.read()

    def __enter__(self) -> Buckets:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin and self.process.stdout
        # The server ends with its standard input.
        self.process.stdin.close()
        self.process.wait(timeout=TIMEOUT_SECONDS)
        self.process.stdout.close()
