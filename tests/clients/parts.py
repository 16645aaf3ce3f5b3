"""Clients of other languages, which need a toolchain, and who goes on without them."""

from __future__ import annotations

import os
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def require(test: unittest.TestCase, name: str) -> None:
    """Leaves `test` out if TESTS_WITHOUT names the part; fails it if the part is not here."""
    if name in os.environ.get("TESTS_WITHOUT", "").split(","):
        raise unittest.SkipTest(f"TESTS_WITHOUT names {name}")
    if not (ROOT / f"target/clients-{name}/.ready").is_file():
        test.fail(f"`make clients-{name}` prepares what is missing; TESTS_WITHOUT={name} leaves its clients out")
