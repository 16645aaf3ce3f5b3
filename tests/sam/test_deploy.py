"""`make deploy` as far as it needs no account: its questions, the answers that it keeps, and refused requests."""

from __future__ import annotations

import os
import subprocess
import tempfile
import tomllib
import unittest
from pathlib import Path

from tests.sam.template import ROOT, SOURCE
from tools.deploy import Refused, file_of, plan

SAM = ROOT / "target/sam/bin/sam"
# A file as SAM writes it once its questions are answered.
ANSWERED = """version = 0.1
[default.deploy.parameters]
stack_name = "lambda-embed"
resolve_s3 = true
parameter_overrides = "Architecture=\\"x86_64\\" MemoryMegabytes=\\"1769\\" Auth=\\"IAM\\""
"""


class Deploy(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="lambda-embed-deploy-")
        self.addCleanup(scratch.cleanup)
        self.file = Path(scratch.name) / "deploy.toml"

    def sam(self, arguments: list[str], typed: str) -> str:
        """The output of `sam deploy` for these answers; without credentials nothing is deployed."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        nobody = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
        nobody |= {"AWS_EC2_METADATA_DISABLED": "true", "SAM_CLI_TELEMETRY": "0"}
        command = [SAM, "deploy", "--template", SOURCE, *arguments]
        ran = subprocess.run(
            command, input=typed, capture_output=True, text=True, check=False, timeout=120, env=clean | nobody
        )
        self.assertNotEqual(ran.returncode, 0)
        return ran.stdout + ran.stderr

    def test_the_first_time_sam_asks(self) -> None:
        made = plan(self.file, "lambda-embed", "aarch64")
        self.assertEqual((made.architecture, made.model), ("arm64", "bge-small-en-v1.5"))
        printed = self.sam(list(made.arguments), "\n" * 3)
        self.assertIn("Stack Name [lambda-embed]:", printed)
        self.assertIn("Parameter Architecture [arm64]:", printed)

    def test_an_interrupted_deployment_asks_again(self) -> None:
        for model in ("all-MiniLM-L6-v2", "none"):
            made = plan(self.file, "lambda-embed", model=model)
            self.assertEqual(made.model, model)
            self.assertIn("--guided", made.arguments)
            self.assertIn("Stack Name", self.sam(list(made.arguments), ""))

    def test_answers_and_model_are_kept(self) -> None:
        self.file.write_text(ANSWERED)
        self.assertEqual(plan(self.file, "lambda-embed", model="all-MiniLM-L6-v2").model, "all-MiniLM-L6-v2")
        again = plan(self.file, "lambda-embed")
        self.assertEqual((again.model, again.architecture), ("all-MiniLM-L6-v2", "x86_64"))
        self.assertNotIn("--guided", again.arguments)
        # SAM reads the file with our table in it, asks nothing, and looks for credentials.
        printed = self.sam(list(again.arguments), "")
        self.assertNotIn("Stack Name [", printed)
        self.assertRegex(printed, "(?i)credentials|region")

    def test_another_model_is_refused_and_the_file_left_as_it_is(self) -> None:
        self.file.write_text(ANSWERED)
        plan(self.file, "lambda-embed")
        before = self.file.read_text()
        with self.assertRaisesRegex(Refused, "made with bge-small-en-v1.5.*make deploy STACK="):
            plan(self.file, "lambda-embed", model="all-MiniLM-L6-v2")
        self.assertEqual(self.file.read_text(), before)

    def test_another_architecture_is_a_parameter_like_others(self) -> None:
        self.file.write_text(ANSWERED)
        self.assertEqual(plan(self.file, "lambda-embed", "arm64").architecture, "arm64")
        self.assertEqual(plan(self.file, "lambda-embed").architecture, "arm64")
        parameters = tomllib.loads(self.file.read_text())["default"]["deploy"]["parameters"]["parameter_overrides"]
        self.assertEqual(parameters, 'Architecture="arm64" MemoryMegabytes="1769" Auth="IAM"')
        with self.assertRaisesRegex(Refused, "ARCH=x86_64"):
            plan(self.file, "lambda-embed", "riscv64")

    def test_parameters_as_a_list_are_kept_as_one(self) -> None:
        answered = ANSWERED.partition("parameter_overrides")[0]
        self.file.write_text(f"{answered}# mine\nparameter_overrides = ['Architecture=x86_64', 'Auth=IAM']\n")
        self.assertEqual(plan(self.file, "lambda-embed", "arm64").architecture, "arm64")
        parameters = tomllib.loads(self.file.read_text())["default"]["deploy"]["parameters"]["parameter_overrides"]
        self.assertEqual(parameters, ["Architecture=arm64", "Auth=IAM"])
        self.assertIn("# mine", self.file.read_text())

    def test_stacks_have_files_of_their_own(self) -> None:
        self.assertEqual([str(file_of(stack)) for stack in ("lambda-embed", "new")], ["deploy.toml", "deploy-new.toml"])
        self.assertIn("new", plan(self.file, "new").arguments)

    def test_a_damaged_file_is_refused_with_a_message(self) -> None:
        self.file.write_text("stack_name: lambda-embed")
        with self.assertRaisesRegex(Refused, "mend it"):
            plan(self.file, "lambda-embed")


if __name__ == "__main__":
    unittest.main()
