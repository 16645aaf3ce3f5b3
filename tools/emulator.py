"""Extracts AWS's Lambda Runtime Interface Emulator from its pinned wheel: `python -m tools.emulator`.

AWS publishes the emulator (static, Apache-2.0) on GitHub and inside the SAM CLI's wheel. The wheel is pinned and
hash-checked like everything else; only the emulator is extracted.
"""

from __future__ import annotations

import argparse
import platform
import sys
from pathlib import Path

from tools.integrity import IntegrityError
from tools.members import Member, PackageUnavailable, present
from tools.wheel import Wheel, extract

WHEEL = Wheel(
    "aws-sam-cli==1.170.0",
    "24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf",
)
MEMBERS = {
    "x86_64": Member(
        "samcli/local/rapid/aws-lambda-rie-x86_64",
        "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
        "aws-lambda-rie",
        mode=0o755,
    ),
    "aarch64": Member(
        "samcli/local/rapid/aws-lambda-rie-arm64",
        "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
        "aws-lambda-rie",
        mode=0o755,
    ),
}


def main() -> int:
    machine = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    parser = argparse.ArgumentParser(prog="python -m tools.emulator", description=__doc__.split("\n")[0])
    parser.add_argument("--arch", choices=sorted(MEMBERS), default=machine, help="default: this machine's")
    parser.add_argument("--out", type=Path, default=Path("target/emulator"), help="default: %(default)s")
    options = parser.parse_args()

    wanted = [MEMBERS[options.arch]]
    if present(wanted, options.out):
        return 0
    try:
        extract(WHEEL, wanted, options.out)
    except (PackageUnavailable, IntegrityError) as error:
        print(f"tools.emulator: {error}", file=sys.stderr)
        return 1
    print(f"{options.out / wanted[0].name}: Lambda Runtime Interface Emulator, {options.arch}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
