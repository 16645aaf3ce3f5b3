"""What the tests of `sam local` share: an engine with the base image, the built function, the S3 server."""

from __future__ import annotations

import atexit
import functools
import ipaddress
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

import yaml

from tests.sam.template import BUILT, ROOT
from tools import engine, sam_local

SAM = ROOT / "target/sam/bin/sam"
BOOTSTRAP = ROOT / "target/release/bootstrap"
S3_PYTHON = ROOT / "target/s3-server/bin/python"
AWS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@functools.cache
def environment() -> dict[str, str]:
    """Variables that reach an engine which has the base image. Raises SkipTest where there is none."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("EMBED_", "AWS_"))}
    clean |= {**AWS, "AWS_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}
    if not engine.answers():
        if not engine.Engine.startable():
            raise unittest.SkipTest("no Docker engine answers, and none can be started here")
        own = engine.Engine()
        atexit.register(own.stop)
        clean["DOCKER_HOST"] = own.environment["DOCKER_HOST"]
    subprocess.run([sys.executable, "-m", "tools.base_image"], check=True, cwd=ROOT, env=clean)
    return clean


def invoke(event: Path, *options: str) -> Any:
    """What the built function answers under `sam local invoke`."""
    return sam_local.invoke(SAM, event, "--skip-pull-image", *options, environment=environment())


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


def reference(event: Path) -> Any:
    """What the plain release binary answers to the same event, with the same model."""
    runtime = ROOT / "target/runtime" / os.uname().machine / "libonnxruntime.so"
    variables = {"EMBED_MODEL_DIR": str(model()), "EMBED_ORT_LIB": str(runtime), "PATH": os.environ["PATH"]}
    command = [BOOTSTRAP, "invoke", event]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, env=variables)
    return json.loads(ran.stdout)


def with_variables(folder: Path, **variables: str) -> Path:
    """A copy of the built template whose functions have more variables: SAM passes none but the template's."""
    built = yaml.load(BUILT.read_text(), Loader=_Tags)
    for name in ("EmbedFunction", "DocumentFunction"):
        properties = built["Resources"][name]["Properties"]
        properties["CodeUri"] = str(BUILT.parent / name)
        properties["Environment"]["Variables"].update(variables)
    path = folder / "template.json"
    path.write_text(json.dumps(built))
    return path


class _Tags(yaml.SafeLoader):
    """Reads CloudFormation's short tags as the long form: `!Ref a` as {"Ref": "a"}."""


def _tag(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Tags.add_multi_constructor("!", _tag)


@contextmanager
def s3_server() -> Iterator[str]:
    """The address of an S3 server that containers reach. Raises SkipTest where it could not be installed."""
    if not (S3_PYTHON.parents[1] / ".ready").is_file():
        raise unittest.SkipTest("`make s3-server` could not install the S3 server")
    # The bridge's first address: this machine to its containers, and to nobody outside of it.
    subnet = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    found = subprocess.run(subnet, capture_output=True, text=True, check=True, env=environment()).stdout.strip()
    host = str(ipaddress.ip_network(found)[1])
    command = [S3_PYTHON, ROOT / "tests/s3/serve.py", host]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        yield "http://" + server.stdout.readline().strip()
        server.stdin.close()


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    dot = math.fsum(x * y for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
