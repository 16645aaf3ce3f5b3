"""Buckets in memory on loopback, as fast as Python serves: `python -m tools.bench.bucket`.

It answers HEAD, GET (with `bytes=<first>-`), PUT and DELETE of objects by their path, which is all that documents of one
part need; it checks no signature. moto, which the tests use, takes ten times as long, so a benchmark would measure
moto. It prints its address and runs until its standard input ends.
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading
from email.utils import formatdate
from urllib.parse import unquote

Objects = dict[str, tuple[bytes, str, str]]


class Connection:
    """One client's requests, one after another."""

    def __init__(self, connection: socket.socket, objects: Objects) -> None:
        self.connection = connection
        self.objects = objects
        self.stream = connection.makefile("rb", buffering=1 << 16)

    def serve(self) -> None:
        with self.connection, self.stream:
            while line := self.stream.readline():
                method, target, _ = line.split(b" ", 2)
                headers: dict[bytes, bytes] = {}
                while (header := self.stream.readline()) not in (b"\r\n", b""):
                    name, _, value = header.partition(b":")
                    headers[name.lower()] = value.strip()
                if headers.get(b"expect"):
                    self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = self.stream.read(int(headers.get(b"content-length", 0)))
                self._answer(method.decode(), unquote(target.split(b"?")[0].decode()), headers, body)

    def _answer(self, method: str, path: str, headers: dict[bytes, bytes], body: bytes) -> None:
        if method == "PUT":
            if b"aws-chunked" in headers.get(b"content-encoding", b"") or b"transfer-encoding" in headers:
                raise NotImplementedError("a body in chunks")
            etag = hashlib.md5(body).hexdigest()
            self.objects[path] = (body, etag, headers.get(b"content-type", b"").decode())
            self._send(200, b"", {"etag": f'"{etag}"'})
        elif method == "DELETE":
            self.objects.pop(path, None)
            self._send(204, b"", {})
        elif path not in self.objects:
            body = b"" if method == "HEAD" else b"<Error><Code>NoSuchKey</Code></Error>"
            self._send(404, body, {"content-type": "application/xml"})
        else:
            content, etag, content_type = self.objects[path]
            about = {"etag": f'"{etag}"', "last-modified": formatdate(0, usegmt=True), "content-type": content_type}
            if method == "HEAD":
                self._send(200, b"", about, length=len(content))
            elif wanted := headers.get(b"range"):
                first = int(wanted.removeprefix(b"bytes=").split(b"-")[0])
                about["content-range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
                self._send(206, content[first:], about)
            else:
                self._send(200, content, about)

    def _send(self, status: int, body: bytes, headers: dict[str, str], length: int | None = None) -> None:
        lines = [f"HTTP/1.1 {status} OK", f"content-length: {len(body) if length is None else length}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def serve(listener: socket.socket) -> None:
    """Answers until the listener is closed."""
    objects: Objects = {}
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=Connection(connection, objects).serve, daemon=True).start()


def main() -> int:
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener,), daemon=True).start()
    print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
