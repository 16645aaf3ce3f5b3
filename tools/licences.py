"""Checks licences, bans and sources of every linked crate: `python -m tools.licences`.

Reads deny.toml, the file of `cargo deny`, and uses that program if it is installed. Building `cargo deny` takes longer
than the whole test suite, so without it `cargo metadata` answers the same three questions: is every licence allowed, is
nothing banned, does everything come from crates.io?
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

from license_expression import ExpressionError, LicenseExpression, Licensing, get_spdx_licensing

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def satisfied(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with `allowed`. Old manifests write `MIT/Apache-2.0` for OR.

    Raises ExpressionError if it is not an expression.
    """
    spdx = _spdx()

    def met(node: LicenseExpression) -> bool:
        if isinstance(node, spdx.OR):
            return any(map(met, node.args))
        if isinstance(node, spdx.AND):
            return all(map(met, node.args))
        return str(node) in allowed

    return met(spdx.parse(expression.replace("/", " OR ")))


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()


def complaints(metadata: dict, rules: dict) -> list[str]:
    """One line for each crate of `cargo metadata` that breaks a rule of deny.toml."""
    allowed = set(rules["licenses"]["allow"])
    banned = {entry["name"] for entry in rules["bans"].get("deny", [])}
    found = []
    for package in metadata["packages"]:
        crate = f"{package['name']} {package['version']}"
        licence = package["license"] or "no licence named"
        try:
            fine = satisfied(licence, allowed)
        except ExpressionError:
            fine = False
        if not fine:
            found.append(f"{crate}: licence {licence} is not allowed")
        if package["name"] in banned:
            found.append(f"{crate}: banned")
        if package["source"] not in (None, CRATES_IO):
            found.append(f"{crate}: comes from {package['source']}")
    return found


def main() -> int:
    if shutil.which("cargo-deny"):
        return subprocess.run(["cargo", "deny", "check", "licenses", "bans", "sources"]).returncode
    command = ["cargo", "metadata", "--format-version", "1", "--locked"]
    # Only crates that are linked on Lambda's two targets.
    for target in ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"):
        command += ["--filter-platform", target]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    found = complaints(metadata, tomllib.loads(Path("deny.toml").read_text()))
    for line in found:
        print(line, file=sys.stderr)
    print(f"licences, bans, sources: {len(metadata['packages'])} crates, {len(found)} complaints")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
