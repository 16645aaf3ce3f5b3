"""Checks licences, bans and sources of every linked crate: `python -m tools.licences`.

Reads deny.toml, the file of `cargo deny`, and uses that program where it is installed; building it
would cost a fresh machine more than the whole test suite, so elsewhere the same three questions are
answered here from `cargo metadata`: is every licence allowed, is nothing banned, does everything
come from crates.io.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def satisfied(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with `allowed`; AND binds tighter than OR.

    Old manifests write `MIT/Apache-2.0` for OR. Raises ValueError for what is no expression.
    """
    tokens = re.findall(r"[()]|[^\s()]+", expression.replace("/", " OR "))
    position = 0

    def peek() -> str | None:
        return tokens[position] if position < len(tokens) else None

    def take() -> str:
        nonlocal position
        if position == len(tokens):
            raise ValueError(f"{expression!r} ends early")
        position += 1
        return tokens[position - 1]

    def either() -> bool:
        met = both()
        while peek() == "OR":
            take()
            met = both() or met
        return met

    def both() -> bool:
        met = one()
        while peek() == "AND":
            take()
            met = one() and met
        return met

    def one() -> bool:
        if peek() == "(":
            take()
            met = either()
            if take() != ")":
                raise ValueError(f"{expression!r} lacks a closing parenthesis")
            return met
        name = take()
        if peek() == "WITH":
            take()
            name = f"{name} WITH {take()}"
        return name in allowed

    met = either()
    if peek() is not None:
        raise ValueError(f"{expression!r} goes on where it should end")
    return met


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
        except ValueError:
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
    # What is linked on Lambda's two targets: crates for other systems alone are left out.
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
