"""Shared by the tests of `sam local`: an engine with the base image, the built function, the S3 server."""

from __future__ import annotations

import atexit
import functools
import json
import math
import os
import subprocess
import sys
import unittest
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import parts
from tests.sam.template import BUILT, ROOT
from tools import engine, sam_local

SAM = ROOT / "target/sam/bin/sam"
BOOTSTRAP = ROOT / "target/release/bootstrap"
S3_PYTHON = ROOT / "target/s3-server/bin/python"
AWS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


def require_docker(test: unittest.TestCase | type[unittest.TestCase]) -> None:
    """Requires Docker, for a test that runs containers, or for a class in its setUpClass."""
    parts.require(test, "docker", engine.answers() or engine.Engine.startable())


@functools.cache
def environment() -> dict[str, str]:
    """Variables for reaching a Docker engine with the base image; starts an engine if none answers."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("EMBED_", "AWS_"))}
    clean |= {**AWS, "AWS_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}
    # Seconds; a busy machine may need more than the 20 that SAM gives a container to listen.
    clean["SAM_CLI_CONTAINER_CONNECTION_TIMEOUT"] = "120"
    if not engine.answers():
        own = engine.Engine()
        atexit.register(own.stop)
        clean["DOCKER_HOST"] = own.environment["DOCKER_HOST"]
    subprocess.run([sys.executable, "-m", "tools.base_image"], check=True, cwd=ROOT, env=clean)
    return clean


def invoke(event: Path, *options: str) -> Any:
    """The answer of the built function for requests under `sam local invoke`."""
    return sam_local.invoke(SAM, sam_local.REQUESTS, event, *options, environment=environment())


def direct(folder: Path, texts: Sequence[str]) -> Path:
    """A direct invocation with `texts`, as a file."""
    path = folder / "event.json"
    path.write_text(json.dumps({"inputs": list(texts)}))
    return path


def model() -> Path:
    """The model folder that was built into the function."""
    return BUILT.parent / "EmbedFunction/model"


def model_id() -> str:
    return json.loads((model() / "manifest.json").read_text())["id"]


def reference(event: Path, folder: Path | None = None) -> Any:
    """The plain release binary's answer to the same event, with the model that was built into the function or the one
    in `folder`."""
    runtime = ROOT / "target/runtime" / os.uname().machine / "libonnxruntime.so"
    variables = {"EMBED_MODEL_DIR": str(folder or model()), "EMBED_ORT_LIB": str(runtime), "PATH": os.environ["PATH"]}
    command = [BOOTSTRAP, "invoke", event]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    return json.loads(ran.stdout)


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3 server that containers reach; a test that uses it requires the part s3."""
    command = [S3_PYTHON, ROOT / "tests/s3/serve.py", sam_local.this_machine(environment())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield "http://" + server.stdout.readline().strip()
        server.stdin.close()


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
