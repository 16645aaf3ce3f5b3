"""Terraform validates its example, and CDK makes a template of its own; each skipped where it cannot be had."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

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
    def test_validates(self) -> None:
        if not shutil.which("terraform"):
            self.skipTest("terraform is not installed")
        folder = self.copied("terraform")
        found = self.run_in(folder, "terraform", "init", "-backend=false", "-input=false", "-no-color")
        if found.returncode != 0:
            self.skipTest(f"terraform cannot have its AWS provider: {found.stderr.strip().splitlines()[-1]}")
        report = json.loads(self.run_in(folder, "terraform", "validate", "-json").stdout)
        self.assertTrue(report["valid"], report["diagnostics"])
        self.assertEqual(report["warning_count"], 0, report["diagnostics"])
        self.assertEqual(self.run_in(folder, "terraform", "fmt", "-check").returncode, 0)


class Cdk(Example):
    def test_synthesizes_a_function_behind_iam(self) -> None:
        if not shutil.which("npm"):
            self.skipTest("Node.js with npm is not installed")
        folder = self.copied("cdk")
        installed = self.run_in(folder, "npm", "ci", "--no-audit", "--no-fund")
        if installed.returncode != 0:
            self.skipTest(f"npm cannot install CDK: {installed.stderr.strip()[-300:]}")
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
