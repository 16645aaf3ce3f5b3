"""Brings PDFium's library: `python -m tools.pdfium --arch x86_64 --out lib`.

The library is the one that the pinned `pypdfium2` wheel carries (built from Chromium's source without V8 and XFA,
glibc 2.16). The licences of PDFium and of what is linked into it are written beside it, for they have to travel
with it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.integrity import IntegrityError, write_verified
from tools.members import Member, PackageUnavailable, present
from tools.strip import stripped
from tools.wheel import Wheel, read_folder

# pypdfium2's version, and the PDFium build in it: the third number of Chromium's version.
VERSION = "5.15.2"
BUILD = "8149"

WHEELS = {
    "x86_64": Wheel(
        f"pypdfium2=={VERSION}",
        "dc31aea5b0fb9fefc9b537a65f4113980b2c40798445736a7e6565bc85161e37",
        platform="manylinux_2_17_x86_64",
    ),
    "aarch64": Wheel(
        f"pypdfium2=={VERSION}",
        "dd46e93c0c3a73f6cea8489baff6d77a5d0759dd53fbbce0aeb49c91830176fc",
        platform="manylinux_2_17_aarch64",
    ),
}
# Of the library without its symbol table.
LIBRARY_SHA256 = {
    "x86_64": "5f69892ebdb723b1133ebe5d3dc6f5d479fb6a1045e917f7b3ba312fd834310f",
    "aarch64": "16e6f7bdc00e4eb28aa7a57c857601730c355b686683eb57c15ac81eecd38be2",
}
LICENCES_SHA256 = "66439a399f811f7ccc81dd9be23d5115c9997c6163a3f3bf460891da92c73e62"
LIBRARY = "libpdfium.so"
LICENCES = "libpdfium.LICENSES.txt"

# Licences of what other builds link (JavaScript, XFA, Android, musl) stay out.
OTHER_BUILDS = ("v8_xfa/", "android/", "cibw_musl/", "pbin_musl/")
RULE = "-" * 100


def members(arch: str) -> list[Member]:
    """What lies in the folder afterwards; a member's `path` is the one below the wheel's root."""
    return [
        Member("", LICENCES_SHA256, LICENCES),
        Member(f"pypdfium2_raw/{LIBRARY}", LIBRARY_SHA256[arch], LIBRARY, mode=0o755),
    ]


def licences(wheel: dict[str, bytes]) -> bytes:
    """One text of all licences that come with the library, each under its project's name."""
    prefix = f"pypdfium2-{VERSION}.dist-info/licenses/BUILD_LICENSES/"
    found = {path.removeprefix(prefix): text for path, text in wheel.items() if path.startswith(prefix)}
    parts = [
        f"{Path(name).stem}\n{RULE}\n".encode() + text.strip() + b"\n"
        for name, text in sorted(found.items())
        if not name.startswith(OTHER_BUILDS)
    ]
    return b"\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.pdfium", description=__doc__.split("\n")[0])
    parser.add_argument("--arch", choices=sorted(WHEELS), required=True)
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {LIBRARY}")
    options = parser.parse_args()

    wanted = members(options.arch)
    if present(wanted, options.out):
        return 0
    try:
        wheel = read_folder(WHEELS[options.arch], "")
        # The library last, so that it never lies there unlicensed.
        for member, content in zip(wanted, [licences(wheel), stripped(wheel[wanted[1].path])], strict=True):
            write_verified(options.out / member.name, content, member.sha256, member.mode)
    except (PackageUnavailable, IntegrityError) as error:
        print(f"tools.pdfium: {error}", file=sys.stderr)
        return 1
    library = options.out / LIBRARY
    print(f"{library}: PDFium {BUILD}, {options.arch}, {library.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
