"""A loopback HTTP server that misbehaves on request, for the download tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Behaviour:
    """What the server does; tests change it between requests."""

    content: bytes
    honours_range: bool = True
    cut_after: list[int] = field(default_factory=list)  # body bytes of the next responses, then whole ones
    statuses: list[int] = field(default_factory=list)  # error statuses of the next responses, then none
    seconds_per_chunk: float = 0.0
    ranges_seen: list[str | None] = field(default_factory=list)
    url: str = ""


CHUNK = 4096


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Behaviour]:
    """Serves `behaviour` at `behaviour.url` until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behaviour.ranges_seen.append(self.headers.get("Range"))
            if behaviour.statuses:
                self.send_error(behaviour.statuses.pop(0))
                return
            start = 0
            if behaviour.honours_range and (wanted := self.headers.get("Range")):
                start = int(wanted.removeprefix("bytes=").rstrip("-"))
            size = len(behaviour.content)
            if start and start >= size:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            stop = start + behaviour.cut_after.pop(0) if behaviour.cut_after else size
            for position in range(start, stop, CHUNK):
                self.wfile.write(behaviour.content[position : min(position + CHUNK, stop)])
                self.wfile.flush()
                time.sleep(behaviour.seconds_per_chunk)

        def log_message(self, *_: object) -> None:
            pass

    class QuietServer(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # a client that was killed on purpose

    with QuietServer(("127.0.0.1", 0), Handler) as server:
        behaviour.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield behaviour
        server.shutdown()
