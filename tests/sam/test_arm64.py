"""The arm64 package's own files under qemu: the same vectors as on x86_64, and how far they differ.

qemu runs the binary and ONNX Runtime's arm64 kernels, which are others than x86_64's: integer sums are the same,
float operations between them may differ in their last bits.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from tests import parts
from tests.sam import harness
from tests.sam.template import ROOT
from tests.sam.test_local import TEXTS

SYSROOT = Path("/usr/aarch64-linux-gnu")
# A Neoverse N1, as Graviton2 has it. qemu hands on this machine's own /proc/cpuinfo, in which ONNX Runtime's reader of
# processors finds no arm64 and ends the program.
PROCESSOR = """processor\t: {}
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""
QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")


class Arm64(unittest.TestCase):
    def setUp(self) -> None:
        self.assertEqual(platform.machine(), "x86_64", "arm64's vectors are compared with x86_64's")
        parts.require(self, "arm64", QEMU and (SYSROOT / "lib/libstdc++.so.6").exists())
        package = ROOT / f"dist/lambda-embed-{harness.model_id()}-arm64.zip"
        self.assertTrue(package.is_file(), f"{package} is missing; `make test-sam` makes it")
        scratch = tempfile.TemporaryDirectory(prefix="lambda-embed-arm64-")
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        with zipfile.ZipFile(package) as contents:
            contents.extractall(self.folder)
        os.chmod(self.folder / "bootstrap", 0o755)
        self.event = harness.direct(self.folder, TEXTS)
        self.root = self.folder / "root"
        (self.root / "proc").mkdir(parents=True)
        cores = (PROCESSOR.format(core) for core in range(os.cpu_count() or 1))
        (self.root / "proc/cpuinfo").write_text("".join(cores))
        (self.root / "lib").symlink_to(SYSROOT / "lib")

    def test_one_invocation_gives_the_vectors_of_x86_64(self) -> None:
        ran = self._invoke("neoverse-n1")
        self.assertEqual(ran.returncode, 0, ran.stderr)
        least, largest = self._compared(ran.stdout)
        print(f"\narm64 against x86_64: smallest cosine {least:.7f}, largest difference {largest:.2e}")
        self.assertGreaterEqual(least, 0.999)

    def test_with_sve_the_vectors_are_right_or_the_start_is_refused(self) -> None:
        """Graviton3 and later have SVE; under qemu 7.2 ONNX Runtime's int8 products come out wrong with it."""
        ran = self._invoke("max,sve=on")
        if ran.returncode:
            self.assertIn("its first vector is not the one that its makers had", ran.stderr)
            print(f"\narm64 with SVE, refused: {ran.stderr.splitlines()[-1]}")
        else:
            least, largest = self._compared(ran.stdout)
            print(f"\narm64 with SVE against x86_64: smallest cosine {least:.7f}, largest difference {largest:.2e}")
            self.assertGreaterEqual(least, 0.999)

    def _invoke(self, processor: str) -> subprocess.CompletedProcess[str]:
        command = [QEMU, "-cpu", processor, "-L", self.root, self.folder / "bootstrap", "invoke", self.event]
        return subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"]}, check=False)

    def _compared(self, printed: str) -> tuple[float, float]:
        """The smallest cosine and the largest difference of a value, between this answer and x86_64's."""
        ours, theirs = json.loads(printed), harness.reference(self.event)
        self.assertEqual((ours["model"], ours["usage"]), (theirs["model"], theirs["usage"]))
        pairs = list(zip(ours["embeddings"], theirs["embeddings"], strict=True))
        least = min(harness.cosine(a, b) for a, b in pairs)
        return least, max(abs(x - y) for a, b in pairs for x, y in zip(a, b, strict=True))


if __name__ == "__main__":
    unittest.main()
