"""A Lambda Runtime API on loopback that hands out one event after another and notes the times.

    bootstrap -> GET  …/invocation/next            the moment it is ready
              -> POST …/invocation/<id>/response   the moment an answer is there

It serves one process on one thread, so the times are the function's, not this server's.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

ACCEPT_SECONDS = 60


@dataclass
class Observed:
    """Seconds on the monotonic clock."""

    ready: float = 0.0
    answers: list[float] = field(default_factory=list)
    handed_out: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    failure: bytes | None = None


class RuntimeApi:
    """Listens from the start, so that its address can be handed to the process."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(ACCEPT_SECONDS)
        self.connections: list[socket.socket] = []
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def serve(
        self, events: Sequence[bytes], pause: float = 0, answered: Callable[[int], None] = lambda count: None
    ) -> Observed:
        """Hands out `events` in order, each after `pause` seconds, and returns after the last one's answer; tells
        `answered` how many there are.

        Raises TimeoutError when the process falls silent, ConnectionError when it goes away.
        """
        observed = Observed()
        waiting = list(reversed(events))
        while len(observed.answers) < len(events) and observed.failure is None:
            connection, _ = self.listener.accept()
            connection.settimeout(ACCEPT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Kept open until `close`: a function whose Runtime API goes away ends, and then its process's
            # figures cannot be read.
            self.connections.append(connection)
            with connection.makefile("rb") as stream:
                while (request := _read(stream)) is not None:
                    self._answer(connection, request, waiting, observed, pause)
                    answered(len(observed.answers))
                    if len(observed.answers) == len(events) or observed.failure is not None:
                        break
        return observed

    @staticmethod
    def _answer(
        connection: socket.socket, request: tuple[str, bytes], waiting: list[bytes], observed: Observed, pause: float
    ) -> None:
        now = time.monotonic()
        path, body = request
        if path.endswith("/next"):
            observed.ready = observed.ready or now
            event = waiting.pop()
            time.sleep(pause)
            observed.handed_out.append(time.monotonic())
            _send(connection, "200 OK", event, _headers(len(observed.handed_out)))
        else:
            if path.endswith("/response"):
                observed.answers.append(now)
                observed.bodies.append(body)
            else:
                observed.failure = body
            _send(connection, "202 Accepted", b"{}", [])

    def close(self) -> None:
        self.listener.close()
        for connection in self.connections:
            connection.close()


def _headers(call: int) -> list[str]:
    deadline = int((time.time() + ACCEPT_SECONDS) * 1000)
    return [
        f"lambda-runtime-aws-request-id: 00000000-0000-0000-0000-{call:012d}",
        f"lambda-runtime-deadline-ms: {deadline}",
        "lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:lambda-embed",
        "lambda-runtime-trace-id: Root=1-00000000-000000000000000000000000;Sampled=0",
    ]


def _read(stream) -> tuple[str, bytes] | None:
    """One request's path and body; None when the connection ended."""
    line = stream.readline()
    if not line:
        return None
    path = line.split()[1].decode()
    length, chunked = 0, False
    while (header := stream.readline().strip().lower()) != b"":
        if header.startswith(b"content-length:"):
            length = int(header.split(b":")[1])
        chunked = chunked or header == b"transfer-encoding: chunked"
    if not chunked:
        return path, stream.read(length)
    body = b""
    while size := int(stream.readline(), 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return path, body


def _send(connection: socket.socket, status: str, body: bytes, headers: list[str]) -> None:
    head = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}", *headers]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
