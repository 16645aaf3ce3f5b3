"""A hub on loopback: the routes that `huggingface_hub` requests for one file, with bytes from the test."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Hub:
    """`files`: bytes by path in the repository. `asked` lists each GET's path; tests read it."""

    files: dict[str, bytes]
    status: int = 200
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serves `hub` at `hub.url` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(send_body=False)

        def do_GET(self) -> None:
            hub.asked.append(self.path)
            self._answer(send_body=True)

        def _answer(self, send_body: bool) -> None:
            _, _, path = self.path.partition("/resolve/r1/")
            content = hub.files.get(path)
            status = hub.status if content is not None or hub.status != 200 else 404
            self.send_response(status)
            if content is not None:
                self.send_header("X-Repo-Commit", "0" * 40)
                self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if send_body and content is not None and status == 200:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield hub
        server.shutdown()
