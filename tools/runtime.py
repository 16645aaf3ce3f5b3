"""Extracts ONNX Runtime's library from its pinned wheel: `python -m tools.runtime --arch x86_64 --out lib`.

The library is Microsoft's own build (glibc 2.27, so it loads on Amazon Linux 2023), from the `onnxruntime` wheel for
the target architecture, which may differ from this machine's. Its licence and notices are written beside it, because
they have to be distributed with it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.integrity import IntegrityError
from tools.members import Member, PackageUnavailable, present
from tools.wheel import Wheel, extract

VERSION = "1.31.1"

# The library is identical in the wheels for all Python versions; cp311 is the oldest.
WHEELS = {
    "x86_64": Wheel(
        f"onnxruntime=={VERSION}",
        "5752bd508126ae7c49894d3b9d2e83f0c3d487319246d04c444b393308d7ad7f",
        platform="manylinux_2_28_x86_64",
        python="311",
    ),
    "aarch64": Wheel(
        f"onnxruntime=={VERSION}",
        "da05378364c44d4407e463982d2bf8d5e4cfea873283757e48beeb41df97b7f3",
        platform="manylinux_2_28_aarch64",
        python="311",
    ),
}
LIBRARY_SHA256 = {
    "x86_64": "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    "aarch64": "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
}


def members(arch: str) -> list[Member]:
    """The files to extract; the library last, so that it is never there without its licence."""
    return [
        Member(
            "onnxruntime/LICENSE",
            "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
            "libonnxruntime.LICENSE.txt",
        ),
        Member(
            "onnxruntime/ThirdPartyNotices.txt",
            "143764b952fdb1a7c69ce653bfba74a7744d6a8a573bfb73e235fba356c83de3",
            "libonnxruntime.ThirdPartyNotices.txt",
        ),
        Member(
            f"onnxruntime/capi/libonnxruntime.so.{VERSION}",
            LIBRARY_SHA256[arch],
            "libonnxruntime.so",
            mode=0o755,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.runtime", description=__doc__.split("\n")[0])
    parser.add_argument("--arch", choices=sorted(WHEELS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for libonnxruntime.so")
    options = parser.parse_args()

    wanted = members(options.arch)
    if present(wanted, options.out):
        return 0
    try:
        extract(WHEELS[options.arch], wanted, options.out)
    except (PackageUnavailable, IntegrityError) as error:
        print(f"tools.runtime: {error}", file=sys.stderr)
        return 1
    library = options.out / "libonnxruntime.so"
    print(f"{library}: ONNX Runtime {VERSION}, {options.arch}, {library.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
