"""Every command in README and docs exists.

Commands that run in seconds and need nothing are run (here and in tests/it/readme.rs). make plans a `make` target
without running it, and commands for AWS are checked against AWS's own service descriptions. A command of an unknown
kind fails, so that a new kind gets its check.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import unittest
from collections.abc import Callable

import botocore.session
import jmespath

from tests.docs.commands import ROOT, Command, commands

BOOTSTRAP = ROOT / "target/release/bootstrap"
# `aws s3` and `aws configure` are the CLI's own; no service description has them.
OWN_COMMANDS: dict[str, dict[str, set[str]]] = {
    "configure": {"export-credentials": {"--format"}},
    "s3": {"cp": {"--recursive"}, "rm": {"--recursive"}, "ls": {"--recursive"}, "sync": set(), "mb": set()},
}
SERVICES = {"s3api": "s3"}
GLOBAL = {"--query", "--output", "--region", "--profile", "--no-cli-pager"}
CLI_OWN = {"--cli-binary-format"}


class Checked(Exception):
    """A command is wrong; the message says why."""


def make(command: Command) -> None:
    """make plans it without running it: unknown targets and broken recipes fail."""
    words = [word.replace("<id>", "bge-small-en-v1.5") for word in command.words]
    ran = subprocess.run([*words, "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
    if ran.returncode != 0:
        raise Checked(ran.stderr)
    known = set(re.findall(r"^[A-Z_]+(?= \?=)", (ROOT / "Makefile").read_text(), re.MULTILINE)) | {"ARCH", "MODEL"}
    for word in words:
        if "=" in word and word.split("=")[0] not in known:
            raise Checked(f"the Makefile has no variable {word}")


def bootstrap(command: Command) -> None:
    """The binary's own help has the subcommand."""
    help = subprocess.run([BOOTSTRAP, "--help"], capture_output=True, text=True, check=True).stdout
    subcommand = command.words[1]
    if not re.search(rf"^  {re.escape(subcommand)}\s", help, re.MULTILINE):
        raise Checked(f"bootstrap has no subcommand {subcommand}")


def python(command: Command) -> None:
    """A module's `--help` has the options. A script's source has them, because its packages may be missing."""
    words = command.words
    if words[1] != "-m":
        source = (ROOT / words[1]).read_text() if (ROOT / words[1]).is_file() else ""
        for option in (word for word in words[2:] if word.startswith("--")):
            if f'"{option}"' not in source:
                raise Checked(f"{words[1]} has no option {option}")
        return
    help = subprocess.run(["python3", "-m", words[2], "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
    if help.returncode != 0:
        raise Checked(help.stderr)
    for option in (word for word in words[3:] if word.startswith("--")):
        if option not in help.stdout:
            raise Checked(f"{words[2]} has no option {option}")


def pip(command: Command) -> None:
    """The packages are pinned by one of our tests or tools."""
    pinned = {
        line.split("==")[0]
        for top in ("tests", "tools")
        for path in (ROOT / top).rglob("requirements.txt")
        for line in path.read_text().splitlines()
        if "==" in line
    }
    if unknown := set(command.words[2:]) - pinned:
        raise Checked(f"no test has {unknown}")


def aws(command: Command) -> None:
    """botocore's descriptions have service, operation and parameters, and no required parameter is missing."""
    words = shlex.split(command.text)
    words = words[words.index("aws") :]
    service, name = words[1], words[2]
    options = {word for word in words[3:] if word.startswith("--")}
    if "--query" in options:
        jmespath.compile(words[words.index("--query") + 1].replace("$1", "name"))
    if service in OWN_COMMANDS:
        known = OWN_COMMANDS[service].get(name)
        if known is None or not options - GLOBAL <= known:
            raise Checked(f"aws {service} {name} {options}")
        return
    client = botocore.session.get_session().create_client(SERVICES.get(service, service), region_name="us-east-1")
    if name == "wait":
        if words[3].replace("-", "_") not in client.waiter_names:
            raise Checked(f"{service} has no waiter {words[3]}")
        return
    operations = {xform: api for xform, api in client.meta.method_to_api_mapping.items()}
    if (method := name.replace("-", "_")) not in operations:
        raise Checked(f"{service} has no operation {name}")
    shape = client.meta.service_model.operation_model(operations[method]).input_shape
    named = {member: "--" + botocore.xform_name(member, "-") for member in shape.members}
    if unknown := options - set(named.values()) - GLOBAL - CLI_OWN:
        raise Checked(f"{service} {name} has no parameter {unknown}")
    # A sentence may name an operation without parameters.
    if options and (missing := {named[member] for member in shape.required_members} - options):
        raise Checked(f"{service} {name} needs {missing}")


def export(command: Command) -> None:
    """Each EMBED_ variable is in a table of docs/configuration.md."""
    for variable in re.findall(r"\b(EMBED_[A-Z_0-9]+)=", command.text):
        if f"| `{variable}` |" not in (ROOT / "docs/configuration.md").read_text():
            raise Checked(f"there is no variable {variable}")


def evaluated(command: Command) -> None:
    """It evaluates one command's output; that command has a check of its own."""
    if re.sub(r"\s", "", command.text) not in ('eval"X"', "evalX"):
        raise Checked("eval of something else than a command's output")


def sam(command: Command) -> None:
    """The SAM CLI has the subcommand and the options."""
    words = command.words
    subcommand = [word for word in words[1:3] if not word.startswith("-")]
    help = subprocess.run([ROOT / "target/sam/bin/sam", *subcommand, "--help"], capture_output=True, text=True, check=False)
    if help.returncode != 0:
        raise Checked(help.stdout + help.stderr)
    for option in (word for word in words if word.startswith("--")):
        if option not in help.stdout:
            raise Checked(f"sam {' '.join(subcommand)} has no option {option}")


def cargo(command: Command) -> None:
    """`cargo` of the toolchain, and cargo-lambda."""
    words = command.words[: 3 if command.words[1] == "lambda" else 2]
    environment = {**os.environ, "PATH": f"{ROOT}/target/packaging/bin{os.pathsep}{os.environ['PATH']}"}
    help = subprocess.run([*words, "--help"], cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    if help.returncode != 0:
        raise Checked(help.stderr)
    for option in (word for word in command.words if word.startswith("--")):
        if option not in help.stdout:
            raise Checked(f"{' '.join(words)} has no option {option}")


def curl(command: Command) -> None:
    """Its body is JSON; tests/it/readme.rs sends the README's requests."""
    words = shlex.split(command.text)
    body = words[words.index("-d") + 1] if "-d" in words else "{}"
    json.loads(body)


KINDS: dict[str, Callable[[Command], None]] = {
    "aws": aws,
    "bootstrap": bootstrap,
    "cargo": cargo,
    "curl": curl,
    "eval": evaluated,
    "export": export,
    "make": make,
    "pip": pip,
    "python": python,
    "python3": python,
    "sam": sam,
}


# This test runs these as they are written; they take seconds once the parts that they need are built.
RUN = (
    "make runtime local-model",
    "make doctor",
    "make invoke",
    "make invoke EVENT=events/alb-embed.json",
    "make invoke EVENT=events/eventbridge-cloudtrail-put.json",
    "make invoke EVENT=events/sqs-s3.json",
    "make verify-model",
)
# Targets that other tests run: the file that runs each, and a string in that file which shows it.
ELSEWHERE = {
    "base-image": ("tests/sam/harness.py", "tools.base_image"),
    "image": ("tests/sam/test_image.py", '"docker", "build"'),
    "local": ("tests/sam/test_local.py", "sam_local.answer"),
    "model": ("Makefile", "goldens: $(READY) operators\n\t@$(BUILD_MODEL)"),
    "operators": ("Makefile", "test-tools: $(READY) build operators"),
    "package": (".ci/run", "make package ARCH=x86_64"),
    "push-model": ("tests/sam/test_local.py", '"push-model"'),
    "qemu": ("Makefile", "--no-print-directory qemu"),
    "serve": ("tests/it/readme.rs", "serve"),
    "test": (".ci/run", "make test\n"),
    "test-sam": (".ci/run", "make test-sam"),
    "test-clients": ("Makefile", "test-rust test-tools test-clients"),
}
# Targets that no test runs, and why not; the docs have their results.
BY_HAND = {
    "deploy": "an AWS account; tests/sam/test_deploy.py goes as far as its questions",
    **dict.fromkeys(("bench", "bench-cold", "bench-http", "bench-ingest", "bench-memory", "bench-resident"), "a quiet machine"),
    "test-hub": "a network that reaches the model hub",
    "test-tei-document": "a network that reaches text-embeddings-inference's own repository",
    "retrieval": "a benchmark and minutes; tools/tests/test_retrieval.py runs the command on a small one",
    "readers": "1.4 GB of packages",
    **dict.fromkeys(("ablation", "chaos", "fuzz", "load", "mutants", "soak"), "minutes to hours"),
}


class Commands(unittest.TestCase):
    def test_commands_that_can_run_here_succeed(self) -> None:
        written = {" ".join(command.words) for command in commands()}
        for command in RUN:
            with self.subTest(command):
                self.assertIn(command, written)
                ran = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, check=False)
                self.assertEqual(ran.returncode, 0, ran.stdout[-2000:] + ran.stderr[-2000:])

    def test_every_target_is_run_by_a_test_or_has_a_reason(self) -> None:
        targets = {
            word
            for command in commands()
            if command.program == "make"
            for word in command.words[1:]
            if "=" not in word
        }  # fmt: skip
        run = {word for command in RUN for word in command.split()[1:] if "=" not in word}
        self.assertEqual(targets - run - set(ELSEWHERE) - set(BY_HAND), set())
        self.assertEqual((set(ELSEWHERE) | set(BY_HAND)) - targets, set(), "in no document")
        for target, (file, seen) in ELSEWHERE.items():
            self.assertIn(seen, (ROOT / file).read_text(), target)

    def test_every_command_is_one_that_exists(self) -> None:
        found = commands()
        self.assertGreater(len(found), 30)
        for command in found:
            with self.subTest(f"{command.file}:{command.line}: {command.text}"):
                self.assertIn(command.program, KINDS, "a new kind of command: give it a check")
                try:
                    KINDS[command.program](command)
                except (Checked, jmespath.exceptions.JMESPathError) as fault:
                    self.fail(str(fault))

    def test_the_checks_refuse_what_does_not_exist(self) -> None:
        wrong = [
            "make packages",
            "make package ARCHITECTURE=arm64",
            "bootstrap server",
            "python3 -m tools.manifest F --size 3",
            "python examples/qdrant/search.py --over server",
            "python examples/qdrant/find.py --through server",
            "pip install qdrant",
            "aws lambda invokes",
            "aws lambda invoke --function my-function",
            "aws cloudformation wait stack-gone",
            "aws lambda update-alias --name live --function-version 3",
            "aws sqs get-queue-attributes --queue-url X --query 'Attributes['",
            "aws configure export-all",
            "export EMBED_MODEL=folder",
            "aws s3 remove s3://bucket",
            "sam local start-apis",
            "sam build --with-source",
            "curl http://127.0.0.1:3000/embed -d '{inputs: 3}'",
        ]
        for text in wrong:
            command = Command("wrong", 1, text)
            with self.subTest(text), self.assertRaises((Checked, ValueError, jmespath.exceptions.JMESPathError)):
                KINDS[command.program](command)

    def test_shell_blocks_parse(self) -> None:
        for command in commands():
            parsed = subprocess.run(["bash", "-n", "-c", command.text.replace("<id>", "id")], capture_output=True, text=True)
            with self.subTest(f"{command.file}:{command.line}: {command.text}"):
                self.assertEqual(parsed.returncode, 0, parsed.stderr)


if __name__ == "__main__":
    unittest.main()
