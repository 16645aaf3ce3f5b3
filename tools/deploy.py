"""Builds and deploys a stack, and keeps the answers: `python -m tools.deploy`, which `make deploy` calls.

    make sam-build -> sam deploy; --guided if no answers are kept yet

deploy.toml (deploy-<stack>.toml for another stack than lambda-embed) is SAM's own configuration file. A table of ours
beside SAM's keeps the model, because a stack that changes it would mix vectors of two models under one prefix.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tomlkit  # preserves comments and layout of the file; SAM uses it too
from tomlkit.exceptions import ParseError

DEFAULT_STACK, DEFAULT_MODEL = "lambda-embed", "bge-small-en-v1.5"
ARCHITECTURES = {"x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
# The name of our table. SAM takes it for an environment, which nobody selects.
TABLE = "package"
# In SAM's list of parameters, `Architecture="arm64" MemoryMegabytes="1769"`.
ARCHITECTURE = re.compile(r'(Architecture="?)(x86_64|arm64)')


class Refused(Exception):
    """The request contradicts the existing stack; the message says what to do."""


@dataclass(frozen=True)
class Plan:
    """The build's settings, and SAM's arguments."""

    architecture: str
    model: str
    arguments: Sequence[str]


def file_of(stack: str) -> Path:
    """Where a stack's answers are kept."""
    return Path("deploy.toml" if stack == DEFAULT_STACK else f"deploy-{stack}.toml")


def plan(path: Path, stack: str, architecture: str = "", model: str = "") -> Plan:
    """Plans a deployment with this architecture and model (empty: as before, or the default) and writes the model to
    `path`. Raises Refused."""
    try:
        kept = tomlkit.parse(path.read_text() if path.exists() else "version = 0.1\n")
    except ParseError as error:
        raise Refused(f"{error}; mend it, or remove the file to be asked again") from error
    answers = kept.get("default", {}).get("deploy", {}).get("parameters", {})
    answered = "stack_name" in answers
    before = kept.get(TABLE, {}).get("model") if answered else None
    if before and model not in ("", before):
        raise Refused(
            f"the stack {answers['stack_name']} was made with {before}, and {model}'s vectors would lie among the other's. "
            f"Make a second stack, `make deploy STACK=<name> MODEL={model}` (docs/operations.md); "
            f"or, where no vectors are kept, take the [{TABLE}] table out of the file"
        )
    model = model or before or DEFAULT_MODEL
    wished = ARCHITECTURE.search(str(answers.get("parameter_overrides", "")))
    architecture = architecture or (wished[2] if wished else platform.machine())
    if architecture not in ARCHITECTURES:
        raise Refused(f"Lambda has no architecture {architecture}: ARCH=x86_64 or ARCH=arm64")
    architecture = ARCHITECTURES[architecture]
    if wished:
        answers["parameter_overrides"] = _with_architecture(answers["parameter_overrides"], architecture)
    kept[TABLE] = {"model": model}
    path.write_text(tomlkit.dumps(kept))
    arguments = ["--config-file", str(path.resolve()), "--capabilities", "CAPABILITY_IAM", "--resolve-s3"]
    if not answered:
        arguments += ["--guided", "--stack-name", stack, "--parameter-overrides", f"Architecture={architecture}"]
    return Plan(architecture, model, arguments)


def _with_architecture(overrides: str | list[str], architecture: str) -> str | list[str]:
    """SAM's parameters, one string as SAM writes them or a list as people may, with another architecture."""
    if isinstance(overrides, str):
        return ARCHITECTURE.sub(rf"\g<1>{architecture}", overrides)
    return [ARCHITECTURE.sub(rf"\g<1>{architecture}", override) for override in overrides]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.deploy", description=__doc__.split("\n")[0])
    parser.add_argument("--sam", type=Path, required=True, help="the SAM CLI")
    parser.add_argument("--stack", default=DEFAULT_STACK, help="default: %(default)s")
    parser.add_argument("--arch", default="", help="x86_64 or arm64; default: as before, or this machine's")
    parser.add_argument("--model", default="", help=f"none packs no model; default: as before, or {DEFAULT_MODEL}")
    options = parser.parse_args()

    path = file_of(options.stack)
    try:
        made = plan(path, options.stack, options.arch, options.model)
    except Refused as error:
        print(f"tools.deploy: {path}: {error}", file=sys.stderr)
        return 1
    build = ["make", "--no-print-directory", "sam-build", f"ARCH={made.architecture}", f"MODEL={made.model}"]
    if built := subprocess.run(build, check=False).returncode:
        return built
    return subprocess.run([options.sam, "deploy", *made.arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
