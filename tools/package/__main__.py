"""Makes a deployment package: `python -m tools.package --arch x86_64 --model models/bge-small-en-v1.5`.

    dist/lambda-embed-<model>-<arch>.zip            the package for Lambda: bootstrap, lib/, model/
    dist/lambda-embed-<model>-<arch>.cdx.json       its contents (CycloneDX)
    dist/lambda-embed-<model>-<arch>.licences.txt   their licences

With `--folder` the same files are written there instead, and `sam build` zips that folder itself. Without `--model`
the package has no model, and the function fetches one from S3.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tools import manifest
from tools.package import archive, binary, crates, elf, notices, sbom
from tools.pdfium import LIBRARY

# Lambda's limits: 50 MB in one upload, which its API counts as 50 MiB; 250 MB unpacked.
LONGEST_ZIP = 50 * 2**20
LONGEST_UNPACKED = 250_000_000
# AWS says arm64, compilers say aarch64.
AWS_NAMES = {"x86_64": "x86_64", "aarch64": "arm64"}


class Unfit(Exception):
    """Lambda could not use the package; one line for each reason."""


class TooLarge(Unfit):
    """The zip has more bytes than the API takes in one upload."""


def contents(bootstrap: Path, libraries: Sequence[Path], model: Path | None) -> list[archive.Entry]:
    """The function's files. From a model folder only the files in its manifest are taken."""
    entries = [archive.Entry("bootstrap", bootstrap, 0o755)]
    for path in libraries:
        entries.append(archive.Entry(f"lib/{path.name}", path, 0o755 if path.suffix == ".so" else 0o644))
    if model:
        stated = manifest.read(model)
        names = [manifest.NAME, *(file["path"] for file in stated["files"].values())]
        entries += [archive.Entry(f"model/{name}", model / name, 0o644) for name in names]
    return entries


def check(entries: list[archive.Entry], arch: str) -> None:
    """Raises Unfit when Lambda could not load a binary, or would refuse the size."""
    found = []
    for entry in entries:
        if entry.mode == 0o755:
            found += elf.complaints(entry.path, arch)
    unpacked = sum(entry.path.stat().st_size for entry in entries)
    if unpacked > LONGEST_UNPACKED:
        found.append(f"{unpacked / 1e6:.1f} MB unpacked, Lambda takes {LONGEST_UNPACKED / 1e6:.0f}")
    if found:
        raise Unfit("\n".join(found))


def lay_out(entries: list[archive.Entry], folder: Path) -> None:
    """Writes the files below `folder`, which exists."""
    for entry in entries:
        path = folder / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry.path, path)
        path.chmod(entry.mode)


def package(entries: list[archive.Entry], path: Path) -> None:
    """Writes the zip and prints the size of each part. Raises TooLarge when it is too large to upload."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    packed = archive.write(draft, entries)
    print(f"{'':40} {'unpacked':>12} {'in the zip':>12}")
    for part in packed:
        print(f"{part.name:40} {part.size / 1e6:9.2f} MB {part.packed / 1e6:9.2f} MB")
    size = draft.stat().st_size
    print(f"{path.name:40} {sum(part.size for part in packed) / 1e6:9.2f} MB {size / 1e6:9.2f} MB")
    if size > LONGEST_ZIP:
        draft.unlink()
        raise TooLarge(f"{path.name} has {size / 1e6:.1f} MB, Lambda takes {LONGEST_ZIP / 1e6:.1f} in one upload")
    draft.rename(path)


def _whose(notice: Path) -> str:
    """The heading of a licence file that lies beside a library."""
    return f"{'PDFium' if _is_pdfium(notice) else 'ONNX Runtime'}: {notice.name}"


def _is_pdfium(path: Path) -> bool:
    return path.name.startswith(f"{Path(LIBRARY).stem}.")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.package", description=__doc__.split("\n")[0])
    parser.add_argument("--arch", choices=sorted(AWS_NAMES), required=True)
    parser.add_argument("--runtime", type=Path, required=True, help="folder with the libraries of that architecture")
    parser.add_argument("--model", type=Path, help="model folder; none: the function fetches its model from S3")
    parser.add_argument(
        "--pdf", choices=("fit", "yes", "no"), default="fit", help="whether PDFium's library is packed; fit: if a zip has room"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, default=Path("dist"), help="default: %(default)s")
    where.add_argument("--folder", type=Path, help="lay the files out here instead of zipping them")
    options = parser.parse_args()

    model_id = manifest.read(options.model)["id"] if options.model else "no-model"
    try:
        libraries = [path for path in sorted(options.runtime.iterdir()) if options.pdf != "no" or not _is_pdfium(path)]
        bootstrap = binary.build(options.arch)
        entries = contents(bootstrap, libraries, options.model)
        check(entries, options.arch)
        if options.folder:
            lay_out(entries, options.folder)
            return 0
        base = options.out / f"lambda-embed-{model_id}-{AWS_NAMES[options.arch]}"
        zipped = base.with_name(f"{base.name}.zip")
        try:
            package(entries, zipped)
        except TooLarge as error:
            if options.pdf != "fit":
                raise
            print(f"{error}. PDFium is left out; the package reads no PDFs. docs/deploy.md says how it can.")
            libraries = [path for path in libraries if not _is_pdfium(path)]
            package(contents(bootstrap, libraries, options.model), zipped)
        own, linked = crates.linked(f"{options.arch}-unknown-linux-gnu")
        library = options.runtime / "libonnxruntime.so"
        pdfium = next((path for path in libraries if path.name == LIBRARY), None)
        listing = sbom.sbom(own, linked, options.arch, bootstrap, library, pdfium, options.model)
        base.with_name(f"{base.name}.cdx.json").write_text(listing)
        others = [(_whose(path), path) for path in libraries if path.suffix == ".txt"]
        base.with_name(f"{base.name}.licences.txt").write_text(notices.notices(linked, others))
    except (binary.BuildFailed, Unfit, sbom.InvalidSbom, subprocess.CalledProcessError) as error:
        print(f"tools.package: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
