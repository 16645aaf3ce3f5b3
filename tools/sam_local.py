"""`make local`: every sample event through `sam local invoke`, then the API on a local port.

    sam build (done) -> base image -> sam local invoke each of events/ -> sam local start-api

An S3 event goes to the function that reads documents; the tests' S3 server has the document. The exit status of
`sam local invoke` says nothing about the function, so its output is read. With Docker's userland proxy, SAM may reach
the proxy before the emulator listens behind it; SAM asks three times within a second, gives up, and stays until the
function's whole timeout is over. Such a call never reached the function, so it is ended and repeated.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tools import engine
from tools.buckets import Buckets, concerns
from tools.invoke import readable

BUILT = Path(".aws-sam/build/template.yaml")
REQUESTS, DOCUMENTS = "EmbedFunction", "DocumentFunction"
Environment = Mapping[str, str]
ATTEMPTS = 5
# SAM's messages for a function that did not answer, and for one that SAM ended because its time was over.
UNANSWERED, TIMED_OUT = "No response from invoke container", "timed out after"


class Failed(Exception):
    """The function gave no answer, or an error; the message has SAM's output."""


def invoke(sam: Path, function: str, event: Path, *options: str, environment: Environment | None = None) -> Any:
    """The function's answer to the file's event. Raises Failed."""
    command = [str(sam), "local", "invoke", function, "--event", str(event), "--skip-pull-image", *options]
    for attempt in range(ATTEMPTS):
        time.sleep(attempt)
        printed, log = _run(command, environment)
        if UNANSWERED not in log or TIMED_OUT in log:
            break
        print(f"{event}: SAM did not reach the emulator", file=sys.stderr)
    answer = _answer(printed)
    if answer is None or (isinstance(answer, dict) and "errorType" in answer):
        raise Failed(f"{event}: {printed}\n{log}")
    return answer


def _run(command: list[str], environment: Environment | None) -> tuple[str, str]:
    """SAM's output and log. Ends SAM once it has given up; its container is removed by then."""
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen(command, stdout=printed, stderr=subprocess.PIPE, text=True, env=environment) as sam,
    ):
        log = []
        for line in sam.stderr:
            log.append(line)
            if UNANSWERED in line:
                sam.kill()
                break
        sam.wait()
        printed.seek(0)
        return printed.read(), "".join(log)


def _answer(printed: str) -> Any | None:
    """The function's answer, which SAM prints last."""
    for line in reversed(printed.strip().splitlines()):
        try:
            return json.loads(line)
        except ValueError:
            continue
    return None


def answer(sam: Path, event: Path, environment: Environment | None = None) -> tuple[Any, list[dict[str, object]]]:
    """The answer of the right function to a sample event, and the records that it wrote. Raises Failed."""
    if not concerns(json.loads(event.read_text())):
        return invoke(sam, REQUESTS, event, environment=environment), []
    with Buckets(this_machine(environment)) as buckets, tempfile.TemporaryDirectory() as scratch:
        # The sample events' buckets, in place of the stack's.
        template = with_variables(Path(scratch), EMBED_INPUT="", **buckets.environment())
        options = ["--template", str(template)]
        return invoke(sam, DOCUMENTS, event, *options, environment=environment), buckets.result()


def this_machine(environment: Environment | None = None) -> str:
    """The bridge's first address, by which only this machine's containers reach this machine."""
    command = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return str(ipaddress.ip_network(found.stdout.strip())[1])


def with_variables(folder: Path, **variables: str) -> Path:
    """A copy of the built template with more variables for its functions, because SAM passes only the template's."""
    built = yaml.load(BUILT.read_text(), Loader=_Tags)
    for name in (REQUESTS, DOCUMENTS):
        properties = built["Resources"][name]["Properties"]
        properties["CodeUri"] = str((BUILT.parent / name).resolve())
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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.sam_local", description=__doc__.split("\n")[0])
    parser.add_argument("--sam", type=Path, required=True, help="the SAM CLI")
    parser.add_argument("--port", default="3000", help="default: %(default)s")
    parser.add_argument("events", type=Path, nargs="*")
    options = parser.parse_args()

    if not engine.answers():
        print("tools.sam_local: no Docker engine answers", file=sys.stderr)
        return 1
    subprocess.run([sys.executable, "-m", "tools.base_image"], check=True)
    try:
        for event in options.events:
            found, records = answer(options.sam, event)
            wrote = f", {len(records)} records written" if records else ""
            print(f"{event}: {json.dumps(readable(found), ensure_ascii=False)[:160]}{wrote}", flush=True)
    except Failed as error:
        print(f"tools.sam_local: {error}", file=sys.stderr)
        return 1
    os.execv(options.sam, [str(options.sam), "local", "start-api", "--port", options.port])


if __name__ == "__main__":
    sys.exit(main())
