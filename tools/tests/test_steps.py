"""Steps that run side by side, and one that fails."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Steps(unittest.TestCase):
    def run_steps(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "tools.steps", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def test_steps_run_side_by_side_and_the_next_one_is_announced(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            one, two = Path(folder) / "one", Path(folder) / "two"
            # Each waits for the other's file.
            meet = "touch {}; while [ ! -e {} ]; do sleep 0.01; done; echo met"
            ran = self.run_steps(
                *("--step", "wait for two", meet.format(one, two)),
                *("--step", "wait for one", meet.format(two, one)),
                *("--then", "look"),
            )
        lines = ran.stdout.splitlines()
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertEqual(lines[:2], ["[1/3] wait for two", "[2/3] wait for one"])
        self.assertIn("[1/3] met", lines)
        self.assertIn("[2/3] met", lines)
        self.assertEqual(lines[-1], "[3/3] look")

    def test_a_failure_stops_the_others_and_ends_the_output(self) -> None:
        started = time.monotonic()
        ran = self.run_steps(
            *("--step", "sleep", "sh -c 'sleep 50; echo awake'"),
            *("--step", "fetch", "echo no route to the hub >&2; exit 3"),
            *("--then", "answer"),
        )
        self.assertEqual(ran.returncode, 1)
        self.assertLess(time.monotonic() - started, 30)
        self.assertNotIn("answer", ran.stdout)
        self.assertEqual(
            ran.stdout.splitlines()[-2:], ["step 2/3, to fetch, failed; its last lines:", "no route to the hub"]
        )


if __name__ == "__main__":
    unittest.main()
