"""Model folders: built in one step, recognised as current, and the same bytes from the same inputs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tools import fixture, manifest


def contents(folder: Path) -> dict[str, bytes]:
    """Every file's bytes by name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Fixture(unittest.TestCase):
    def test_regenerating_gives_the_checked_in_bytes(self) -> None:
        with tempfile.TemporaryDirectory() as scratch:
            fixture.write(Path(scratch))
            for folder in ("fixture", "fixture-stock"):
                self.assertEqual(contents(Path(scratch) / folder), contents(Path("models") / folder), folder)


class Manifest(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        fixture.write(Path(scratch.name))
        self.folder = Path(scratch.name) / "fixture"
        self.stated = manifest.read(self.folder)

    def is_current(self, **other: str | bool) -> bool:
        wanted = {"revision": self.stated["revision"], "recipe": self.stated["recipe"], "standard": True, **other}
        return manifest.is_current(self.folder, **wanted)

    def test_an_untouched_folder_is_current(self) -> None:
        self.assertTrue(self.is_current())

    def test_a_folder_of_another_recipe_or_revision_is_not_current(self) -> None:
        self.assertFalse(self.is_current(recipe="other"))
        self.assertFalse(self.is_current(revision="other"))

    def test_a_folder_with_another_graph_than_was_asked_for_is_not_current(self) -> None:
        self.assertFalse(self.is_current(standard=False))
        (self.folder / manifest.STANDARD_MODEL).unlink()
        self.assertFalse(self.is_current())

    def test_a_folder_with_a_flipped_byte_is_not_current(self) -> None:
        model = self.folder / manifest.MODEL
        content = bytearray(model.read_bytes())
        content[1000] ^= 1
        model.write_bytes(content)
        self.assertFalse(self.is_current())

    def test_a_folder_without_a_file_or_manifest_is_not_current(self) -> None:
        (self.folder / manifest.TOKENIZER).unlink()
        self.assertFalse(self.is_current())
        (self.folder / manifest.NAME).unlink()
        self.assertFalse(self.is_current())

    def test_a_users_own_folder_gets_a_manifest(self) -> None:
        (self.folder / manifest.NAME).unlink()
        command = [sys.executable, "-m", "tools.manifest", str(self.folder), "--id", "mine", "--pooling", "mean"]
        command += ["--max-tokens", "64", "--dimensions", "32", "--model", manifest.MODEL]
        subprocess.run(command, check=True, capture_output=True)
        stated = manifest.read(self.folder)
        self.assertEqual((stated["format"], stated["id"], stated["name"]), (1, "mine", "mine"))
        self.assertEqual(stated["files"], {name: self.stated["files"][name] for name in ("model", "tokenizer")})


if __name__ == "__main__":
    unittest.main()
