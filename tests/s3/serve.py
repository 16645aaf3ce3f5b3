"""The tests' S3 server, S3 Vectors included: moto on a free port, for as long as standard input stays open.

It listens on loopback, or on the address in its argument, because containers reach this machine by another address. It
prints its address on one line. The process that started it holds the other end of its standard input, so it ends with
that process, however that ends, and in any case after `LIFETIME_SECONDS`.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

from moto.server import ThreadedMotoServer
from vector_limits import limited

LIFETIME_SECONDS = 1800


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    limited()
    server = ThreadedMotoServer(ip_address=sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1", port=0, verbose=False)
    server.start()
    print("%s:%d" % server.get_host_and_port(), flush=True)
    end = threading.Timer(LIFETIME_SECONDS, os._exit, [1])
    end.daemon = True
    end.start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
