"""The arm64 package's own files under qemu: the same vectors as on x86_64, and how far they differ.

qemu runs the binary and ONNX Runtime's arm64 kernels, which differ from x86_64's and depend on the processor's
features. They round differently, so their vectors are near x86_64's, not equal to them; both are about equally far from
float32's (docs/deploy.md).
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import tempfile
import unittest
import unittest.mock
import zipfile
from pathlib import Path

from tests import parts
from tests.sam import harness
from tests.sam.template import ROOT
from tests.sam.test_local import TEXTS
from tools import qemu

PACKAGE = ROOT / "dist/lambda-embed-bge-small-en-v1.5-arm64.zip"


class Arm64(unittest.TestCase):
    def setUp(self) -> None:
        self.assertEqual(platform.machine(), "x86_64", "arm64's vectors are compared with x86_64's")
        parts.require(self, "arm64", True)
        try:
            self.emulator = qemu.found()
        except qemu.Missing as missing:
            raise parts.Missing(parts.message("arm64", str(missing))) from missing
        self.assertTrue(PACKAGE.is_file(), f"{PACKAGE.name} is missing: `make package ARCH=arm64` makes it")
        scratch = tempfile.TemporaryDirectory(prefix="lambda-embed-arm64-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        with zipfile.ZipFile(PACKAGE) as contents:
            contents.extractall(self.folder)
        os.chmod(self.folder / "bootstrap", 0o755)
        self.probe = json.loads((self.folder / "model/manifest.json").read_text())["probe"]
        self.event = harness.direct(self.folder, [*TEXTS, self.probe["text"]])

    def test_a_graviton2_gives_the_vectors_of_x86_64(self) -> None:
        self._compare("neoverse-n1", 0.9995)

    def test_a_graviton3_gives_the_vectors_of_x86_64(self) -> None:
        self._compare("neoverse-v1", 0.9995)

    def test_a_neoverse_n2_gives_the_vectors_of_x86_64(self) -> None:
        self._compare("neoverse-n2", 0.9995)

    def test_an_a64fx_with_512_bits_of_sve_gives_the_vectors_of_x86_64(self) -> None:
        self._compare("a64fx", 0.9995)

    def test_a_processor_with_sme_gives_the_vectors_of_x86_64(self) -> None:
        """No Graviton has SME so far. ONNX Runtime has other kernels for it, whose vectors differ a little more."""
        self._compare("max", 0.999)

    def _compare(self, processor: str, bar: float) -> None:
        """Fails if a vector on `processor` has a cosine below `bar` to x86_64's vector of the same text, or the probe's
        vector one below 0.999 to float32's."""
        command = [self.emulator.qemu, "-cpu", processor, "-L", self.emulator.libraries]
        command += [self.folder / "bootstrap", "invoke", self.event]
        ran = subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        ours, theirs = json.loads(ran.stdout), harness.reference(self.event, self.folder / "model")
        self.assertEqual((ours["model"], ours["usage"]), (theirs["model"], theirs["usage"]))
        pairs = list(zip(ours["embeddings"], theirs["embeddings"], strict=True))
        least = min(harness.cosine(a, b) for a, b in pairs)
        largest = max(abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True))
        exact, theirs_exact = (harness.cosine(vector, self.probe["vector"]) for vector in pairs[-1])
        print(f"\n{processor} against x86_64: smallest cosine {least:.5f}, largest difference {largest:.4f}")
        print(f"against float32: cosine {exact:.5f}, x86_64 {theirs_exact:.5f}")
        self.assertGreaterEqual(least, bar)
        self.assertGreaterEqual(exact, 0.999)


class Found(unittest.TestCase):
    """Which qemu is chosen; programs that print a version stand in for qemu."""

    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="lambda-embed-qemu-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.enterContext(unittest.mock.patch.dict(os.environ, {"PATH": str(self.folder / "installed")}))
        (self.folder / qemu.TRIPLE / "lib").mkdir(parents=True)
        for library in ("libc.so.6", "libstdc++.so.6"):
            (self.folder / qemu.TRIPLE / "lib" / library).touch()

    def program(self, name: str, version: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\necho 'qemu-aarch64 version {version} (Debian 1:{version})'\n")
        path.chmod(0o755)
        return path

    def test_an_older_one_is_refused_with_the_version_that_is_needed(self) -> None:
        old = self.program("installed/qemu-aarch64-static", "9.2.4")
        with self.assertRaisesRegex(qemu.Missing, f"{old} is version 9, version 10 or later is needed"):
            qemu.found(self.folder)

    def test_a_new_one_is_taken_before_an_older_one(self) -> None:
        self.program("qemu-aarch64", "7.2.22")
        new = self.program("installed/qemu-aarch64-static", "10.0.2")
        self.assertEqual(qemu.found(self.folder), qemu.Emulator(new, self.folder / qemu.TRIPLE))

    def test_a_missing_qemu_is_reported(self) -> None:
        with self.assertRaisesRegex(qemu.Missing, "there is no qemu for arm64"):
            qemu.found(self.folder)


if __name__ == "__main__":
    unittest.main()
