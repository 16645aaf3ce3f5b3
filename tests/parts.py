"""The parts that tests need beside this repository (tests/parts.json), and the tests that are left out without them.

A test whose part is missing fails, and its message says how to get the part. TESTS_WITHOUT=name,… leaves out the tests
that need these parts. `python -m tests.parts COMMAND…` runs a command that runs tests, and then prints how many tests
were left out; its exit status is the command's.

For each test that is left out, tests (also those in Rust, tests/it/support/parts.rs) append a line with the missing
parts to the file that TESTS_LEFT_OUT names.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import unittest
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = json.loads((ROOT / "tests/parts.json").read_text())
WITHOUT, LEFT_OUT = "TESTS_WITHOUT", "TESTS_LEFT_OUT"


class Missing(Exception):
    """A part that a test needs is missing."""


def without() -> set[str]:
    """The parts that TESTS_WITHOUT names. Raises ValueError for an unknown name."""
    names = {name.strip() for name in os.environ.get(WITHOUT, "").split(",")} - {""}
    if unknown := sorted(names - PARTS.keys()):
        raise ValueError(f"{WITHOUT}: {', '.join(unknown)} is no part; the parts are {', '.join(PARTS)}")
    return names


def require(test: unittest.TestCase | type[unittest.TestCase], name: str, here: object = None) -> None:
    """Raises SkipTest for `test`, or for a whole class in its setUpClass, if TESTS_WITHOUT names the part.

    Raises Missing if `here` is false or, if `here` is not given, one of the part's files is missing.
    """
    if name in without():
        count = 1 if isinstance(test, unittest.TestCase) else len(unittest.defaultTestLoader.getTestCaseNames(test))
        record(name, count)
        raise unittest.SkipTest(f"{WITHOUT} names {name}")
    if here is None:
        here = all((ROOT / file).is_file() for file in PARTS[name]["files"])
    if not here:
        raise Missing(message(name))


def message(name: str, cause: str = "") -> str:
    """The message of a test whose part is missing."""
    part = PARTS[name]
    cause = f" ({cause})" if cause else ""
    return f"{part['what']} is missing{cause}: {part['bring']}; {WITHOUT}={name} leaves out the tests that need it"


def record(name: str, count: int) -> None:
    """Records that `count` tests were left out."""
    if path := os.environ.get(LEFT_OUT):
        with open(path, "a") as file:
            file.write(f"{name}\n" * count)


def summary(lines: Iterable[str]) -> str:
    """`left out: 12 tests (qdrant 8, documents 4)`; a test without two of its parts counts as `qdrant+s3`."""
    counts = Counter(line.strip() for line in lines)
    if not counts:
        return "left out: nothing"
    total = counts.total()
    parts = ", ".join(f"{name} {count}" for name, count in counts.most_common())
    return f"left out: {total} test{'s' if total > 1 else ''} ({parts})"


def main() -> int:
    try:
        without()
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    outer = os.environ.get(LEFT_OUT)
    with tempfile.NamedTemporaryFile("r", prefix="left-out-") as file:
        status = subprocess.run(sys.argv[1:], env={**os.environ, LEFT_OUT: file.name}, check=False).returncode
        lines = file.readlines()
    if outer:
        with open(outer, "a") as whole:
            whole.writelines(lines)
    print(summary(lines), flush=True)
    # A command that a signal ended has a negative status.
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
