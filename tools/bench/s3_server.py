"""A model folder as S3 would serve it, on loopback, fast: `python -m tools.bench.s3_server models/<id>`.

It answers GET with and without a range, by sendfile, in the layout that `bootstrap push-model` uploads, under the
bucket `bench` and the prefix `model`, and checks no signature. moto, which the tests use, takes ten times as long, so a
benchmark would measure moto.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import threading
from pathlib import Path

RANGE = re.compile(rb"\r\nrange: *bytes=(\d+)-(\d+)\r\n", re.IGNORECASE)


def layout(folder: Path) -> dict[str, Path]:
    """The path of every object in a URL, and its file."""
    manifest = json.loads((folder / "manifest.json").read_text())
    objects = {"/bench/model/manifest.json": folder / "manifest.json"}
    for entry in manifest["files"].values():
        objects[f"/bench/model/{entry['sha256']}/{entry['path']}"] = folder / entry["path"]
    return objects


def _serve(connection: socket.socket, objects: dict[str, Path]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        waiting = b""
        while True:
            while b"\r\n\r\n" not in waiting:
                received = connection.recv(65536)
                if not received:
                    return
                waiting += received
            head, _, waiting = waiting.partition(b"\r\n\r\n")
            _answer(connection, head + b"\r\n", objects)


def _answer(connection: socket.socket, head: bytes, objects: dict[str, Path]) -> None:
    path = head.split(b" ", 2)[1].split(b"?")[0].decode()
    if path not in objects:
        connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        return
    with objects[path].open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        asked = RANGE.search(head)
        first, last = (int(asked[1]), min(int(asked[2]), size - 1)) if asked else (0, size - 1)
        status = f"206 Partial Content\r\ncontent-range: bytes {first}-{last}/{size}" if asked else "200 OK"
        connection.sendall(f"HTTP/1.1 {status}\r\ncontent-length: {last + 1 - first}\r\n\r\n".encode())
        while first <= last:
            first += os.sendfile(connection.fileno(), file.fileno(), first, last + 1 - first)


def serve(listener: socket.socket, objects: dict[str, Path]) -> None:
    """Answers until the listener is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, objects), daemon=True).start()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.s3_server", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=serve, args=(listener, layout(options.folder)), daemon=True).start()
    print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    # Until the process that started this one closes the other end.
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
