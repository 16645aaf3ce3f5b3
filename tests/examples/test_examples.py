"""Terraform validates its example, and CDK makes a template from its example."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from tests import parts

ROOT = Path(__file__).resolve().parents[2]


class Example(unittest.TestCase):
    def copied(self, name: str) -> Path:
        scratch = tempfile.TemporaryDirectory(prefix=f"lambda-embed-{name}-")
        self.addCleanup(scratch.cleanup)
        folder = Path(scratch.name) / name
        shutil.copytree(ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("node_modules", ".terraform*"))
        return folder

    def run_in(self, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


class Terraform(Example):
    def setUp(self) -> None:
        parts.require(self, "terraform", shutil.which("terraform"))
        self.folder = self.copied("terraform")

    def test_is_formatted(self) -> None:
        found = self.run_in(self.folder, "terraform", "fmt", "-check", "-diff")
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)

    def test_validates(self) -> None:
        # Whether the provider is available is checked below.
        parts.require(self, "terraform-provider", True)
        folder = self.folder
        found = self.run_in(folder, "terraform", "init", "-backend=false", "-input=false", "-no-color")
        if found.returncode != 0:
            raise parts.Missing(parts.message("terraform-provider", " ".join(found.stderr.split())[:300]))
        report = json.loads(self.run_in(folder, "terraform", "validate", "-json").stdout)
        self.assertTrue(report["valid"], report["diagnostics"])
        self.assertEqual(report["warning_count"], 0, report["diagnostics"])


class Cdk(Example):
    def test_synthesizes_a_function_behind_iam(self) -> None:
        parts.require(self, "node", shutil.which("npm"))
        folder = self.copied("cdk")
        installed = self.run_in(folder, "npm", "ci", "--no-audit", "--no-fund")
        self.assertEqual(installed.returncode, 0, installed.stderr)
        checked = self.run_in(folder, "npm", "run", "check")
        self.assertEqual(checked.returncode, 0, checked.stdout)
        package = folder / "lambda-embed-a-model-arm64.zip"
        with zipfile.ZipFile(package, "w") as contents:
            contents.writestr("bootstrap", "")
        made = self.run_in(folder, "npx", "cdk", "synth", "--quiet", "--context", f"package={package}")
        self.assertEqual(made.returncode, 0, made.stderr)
        resources = json.loads((folder / "cdk.out/LambdaEmbed.template.json").read_text())["Resources"].values()
        (function,) = (r["Properties"] for r in resources if r["Type"] == "AWS::Lambda::Function")
        self.assertEqual((function["Runtime"], function["Architectures"]), ("provided.al2023", ["arm64"]))
        routes = [r["Properties"] for r in resources if r["Type"] == "AWS::ApiGatewayV2::Route"]
        self.assertEqual([route["AuthorizationType"] for route in routes], ["AWS_IAM"])
        for policy in (r["Properties"] for r in resources if r["Type"] == "AWS::IAM::Policy"):
            for statement in policy["PolicyDocument"]["Statement"]:
                self.assertNotEqual(statement["Resource"], "*")



if __name__ == "__main__":
    unittest.main()
