"""Packages: zips with the same bytes everywhere, checks for files that Lambda could not load, SBOM, licences."""

from __future__ import annotations

import ctypes
import json
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from tests import parts
from tools.package import archive, crates, elf, notices, sbom
from tools.package.__main__ import Unfit, check, contents, package
from tools.strip import stripped

LIBRARY = Path("target/runtime/x86_64/libonnxruntime.so")
PDFIUM = LIBRARY.with_name("libpdfium.so")


class Scratch(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)

    def file(self, name: str, content: bytes = b"content\n" * 100) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


class Archive(Scratch):
    def entries(self) -> list[archive.Entry]:
        return [
            archive.Entry("model/ä.json", self.file("b", b"{}"), 0o644),
            archive.Entry("bootstrap", self.file("a", bytes(range(256)) * 999), 0o755),
            archive.Entry("empty", self.file("c", b""), 0o644),
        ]

    def test_readers_find_names_modes_and_contents(self) -> None:
        path = self.folder / "x.zip"
        archive.write(path, self.entries())
        with zipfile.ZipFile(path) as zip:
            self.assertIsNone(zip.testzip())
            self.assertEqual(zip.namelist(), ["bootstrap", "empty", "model/ä.json"])
            self.assertEqual(zip.read("bootstrap"), bytes(range(256)) * 999)
            modes = {info.filename: oct(info.external_attr >> 16) for info in zip.infolist()}
            self.assertEqual(modes, {"bootstrap": "0o100755", "empty": "0o100644", "model/ä.json": "0o100644"})
            self.assertEqual({info.date_time for info in zip.infolist()}, {(1980, 1, 1, 0, 0, 0)})

    def test_unzip_restores_the_modes(self) -> None:
        parts.require(self, "unzip", shutil.which("unzip"))
        path = self.folder / "x.zip"
        archive.write(path, self.entries())
        subprocess.run(["unzip", "-q", path, "-d", self.folder / "out"], check=True)
        self.assertEqual((self.folder / "out/bootstrap").stat().st_mode & 0o777, 0o755)

    def test_order_times_and_modes_on_disk_do_not_matter(self) -> None:
        first, second = self.folder / "1.zip", self.folder / "2.zip"
        archive.write(first, self.entries())
        entries = self.entries()
        entries[0].path.chmod(0o600)
        archive.write(second, entries[::-1])
        self.assertEqual(first.read_bytes(), second.read_bytes())

    def test_one_byte_more_than_lambda_takes_is_refused(self) -> None:
        path = self.folder / "x.zip"
        package(self.entries(), path)
        size = path.stat().st_size
        path.unlink()
        from tools.package import __main__ as main

        limit, main.LONGEST_ZIP = main.LONGEST_ZIP, size - 1
        self.addCleanup(setattr, main, "LONGEST_ZIP", limit)
        with self.assertRaisesRegex(Unfit, "Lambda takes"):
            package(self.entries(), path)
        self.assertFalse(path.exists())
        with self.assertRaises(main.TooLarge):
            package(self.entries(), path)


class Compiled(Scratch):
    def compiled(self, source: str, *options: str) -> Path:
        compiler = shutil.which("cc")
        parts.require(self, "cc", compiler)
        path = self.folder / "program"
        code = self.file("program.c", source.encode())
        subprocess.run([compiler, code, "-o", path, *options], check=True)
        return path


class Elf(Compiled):
    def test_the_library_loads_on_amazon_linux(self) -> None:
        self.assertEqual(elf.complaints(LIBRARY, "x86_64"), [])
        self.assertIn("not a file for aarch64", elf.complaints(LIBRARY, "aarch64")[0])

    def test_pdfium_loads_there_too(self) -> None:
        self.assertEqual(elf.complaints(PDFIUM, "x86_64"), [])

    def test_symbols_of_a_newer_glibc_are_named(self) -> None:
        listing = "  0x0010:   Name: GLIBC_2.34  Flags: none\n  0x0020:   Name: GLIBC_2.9  Flags: none\n Name: GLIBC_2.38"
        self.assertEqual(elf.newest_version(listing, "GLIBC"), "2.38")
        self.assertIsNone(elf.newest_version(listing, "GLIBCXX"))

    def test_a_binary_that_was_not_stripped_or_needs_a_foreign_library_is_refused(self) -> None:
        plain = self.compiled("int main(void) { return 0; }")
        self.assertEqual([c for c in elf.complaints(plain, "x86_64") if "stripped" not in c], [])
        self.assertIn("program: not stripped", elf.complaints(plain, "x86_64"))
        stripped = self.compiled("int main(void) { return 0; }", "-s")
        self.assertEqual(elf.complaints(stripped, "x86_64"), [])
        self.compiled("int helper(void) { return 0; }", "-shared", "-fPIC", "-Wl,-soname,libforeign.so.1")
        shutil.move(self.folder / "program", self.folder / "libforeign.so")
        source = "int helper(void); int main(void) { return helper(); }"
        foreign = self.compiled(source, "-s", f"-L{self.folder}", "-lforeign")
        self.assertIn("needs libforeign.so.1", elf.complaints(foreign, "x86_64")[0])

    def test_check_names_every_reason(self) -> None:
        entries = [archive.Entry("lib/libonnxruntime.so", LIBRARY, 0o755)]
        check(entries, "x86_64")
        with self.assertRaisesRegex(Unfit, "not a file for aarch64"):
            check(entries, "aarch64")


class Strip(Compiled):
    def test_a_library_without_its_symbol_table_works_as_before(self) -> None:
        self.compiled("int answer(void) { return 42; }", "-shared", "-fPIC")
        whole = self.folder / "program"
        less = self.folder / "less.so"
        less.write_bytes(stripped(whole.read_bytes()))
        self.assertLess(less.stat().st_size, whole.stat().st_size)
        self.assertEqual((elf.complaints(less, "x86_64"), ctypes.CDLL(str(less)).answer()), ([], 42))


class Contents(Scratch):
    def test_a_model_folder_is_taken_by_its_manifest(self) -> None:
        fixture = Path("models/fixture")
        entries = contents(self.file("bootstrap"), [self.file("lib/libonnxruntime.so")], fixture)
        names = {entry.name: entry.mode for entry in entries}
        files = ("manifest.json", "model.ort", "standard.ort", "tokenizer.json")
        wanted = {f"model/{name}": 0o644 for name in files}
        # golden.json is in the folder, but not part of the model.
        self.assertEqual(names, {"bootstrap": 0o755, "lib/libonnxruntime.so": 0o755, **wanted})


class Listing(Scratch):
    def crate(self, name: str, licence: str, text: str | None, uses: tuple[str, ...] = ()) -> crates.Crate:
        folder = self.folder / name
        folder.mkdir()
        if text:
            (folder / "LICENSE-MIT").write_text(text)
        return crates.Crate(name, name, "1.0.0", licence, f"https://example/{name}", folder, "ab" * 32, uses)

    def test_equal_texts_appear_once_and_missing_ones_are_reported(self) -> None:
        listed = [self.crate("a", "MIT", "text one\n"), self.crate("b", "MIT", "text one  \n\n"), self.crate("c", "BSD-3-Clause", None)]
        text = notices.notices(listed, [])
        self.assertEqual(text.count("text one"), 1)
        self.assertIn("a 1.0.0 (MIT)\nb 1.0.0 (MIT)", text)
        self.assertIn("c 1.0.0: BSD-3-Clause; https://example/c", text)

    def test_only_what_is_linked_is_listed(self) -> None:
        own, linked = crates.linked("x86_64-unknown-linux-gnu")
        names = {crate.name for crate in linked}
        self.assertEqual(own.name, "lambda-embed")
        self.assertLessEqual({"ort", "tokenizers", "ring"}, names)
        # A build tool, a test's dependency, a macro and a crate for another system.
        self.assertFalse({"cc", "criterion", "serde_derive", "windows-sys"} & names)
        # The project's own crates are not third parties' ones.
        self.assertFalse({"kernels", "operators"} & names)
        self.assertLessEqual(set(own.uses), {crate.id for crate in linked})
        self.assertEqual([crate.name for crate in linked if not crate.licence or not crate.checksum], [])

    def test_what_the_build_script_takes_data_from_is_listed_and_its_own_code_is_not(self) -> None:
        own, linked = crates.linked("x86_64-unknown-linux-gnu")
        [table] = [crate for crate in linked if crate.name == "tiktoken-rs"]
        self.assertEqual((table.licence, table.uses), ("MIT", ()))
        self.assertIn(table.id, own.uses)
        self.assertNotIn("bstr", {crate.name for crate in linked})

    def test_the_sbom_is_valid_and_always_the_same(self) -> None:
        listed = [self.crate("a", "MIT OR Apache-2.0", None, ("b",)), self.crate("b", "MIT", None)]
        own = self.crate("own", "Apache-2.0", None, ("a",))
        binary = self.file("bootstrap")
        first, second = (sbom.sbom(own, order, "x86_64", binary, LIBRARY, PDFIUM, Path("models/fixture")) for order in (listed, listed[::-1]))
        self.assertEqual(first, second)
        document = json.loads(first)
        self.assertEqual(document["specVersion"], "1.6")
        names = {component["name"] for component in document["components"]}
        self.assertLessEqual({"a", "b", "onnxruntime", "pdfium", "rust-std"}, names)
        self.assertIn("machine-learning-model", {component["type"] for component in document["components"]})
        depends = {entry["ref"]: entry.get("dependsOn", []) for entry in document["dependencies"]}
        self.assertEqual(depends["pkg:cargo/a@1.0.0"], ["pkg:cargo/b@1.0.0"])


if __name__ == "__main__":
    unittest.main()
