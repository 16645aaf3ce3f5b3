"""Pulls AWS's base image, or makes a stand-in from this machine's own files: `python -m tools.base_image`.

`sam local` runs a function in public.ecr.aws/lambda/provided:al2023. If that cannot be pulled, an image of the same
name is imported: busybox, the C and C++ libraries, certificates, and the folders that Lambda has. The libraries are
the host's, so it cannot prove that a binary loads on Amazon Linux 2023; `make package` checks that by the symbols a
binary needs. A label distinguishes the stand-in from AWS's image; images built upon it inherit the label.
"""

from __future__ import annotations

import argparse
import io
import platform
import subprocess
import sys
import tarfile
from pathlib import Path

ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
LIBRARIES = (
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libresolv.so.2",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libstdc++.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
)
# Commands that the layers which SAM adds to the image call.
COMMANDS = ("sh", "mv", "chmod", "cp", "mkdir", "ls", "cat", "rm")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BUSYBOX = (Path("/bin/busybox"), Path("/usr/bin/busybox"))
IMAGE = "public.ecr.aws/lambda/provided:al2023"
LABEL = "lambda-embed.stand-in"
PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64"}
PULL_SECONDS = 300


class Missing(Exception):
    """A file of the host that the image needs; the message names its package."""


def layers(machine: str) -> bytes:
    """The image's one layer, as a tar archive."""
    folders = {
        "x86_64": ("/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu"),
        "aarch64": ("/lib/ld-linux-aarch64.so.1", "/lib/aarch64-linux-gnu"),
    }
    if machine not in folders:
        raise Missing(f"a stand-in is made of a Linux machine's files, x86_64's or aarch64's; this is {machine}")
    loader, folder = folders[machine]
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in ("bin", "lib64", folder, "opt", "var/task", "var/runtime", "etc/ssl/certs"):
            _folder(tar, name, 0o755)
        _folder(tar, "tmp", 0o1777)
        _file(tar, "bin/busybox", _first(BUSYBOX, "busybox-static"), 0o755)
        for command in COMMANDS:
            link = tarfile.TarInfo(f"bin/{command}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _file(tar, loader, _first([Path(loader)], "libc6"), 0o755)
        for library in LIBRARIES:
            places = [Path(folder) / library, Path("/usr") / folder[1:] / library]
            _file(tar, f"{folder}/{library}", _first(places, "libstdc++6"), 0o755)
        _file(tar, CERTIFICATES, _first([CERTIFICATES], "ca-certificates"), 0o644)
    return content.getvalue()


def _first(places: object, package: str) -> Path:
    places = list(places)
    for place in places:
        if place.exists():
            return place
    raise Missing(f"{places[0]} is missing; on Debian it is part of {package}")


def _folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    info = tarfile.TarInfo(name.lstrip("/"))
    info.type, info.mode = tarfile.DIRTYPE, mode
    tar.addfile(info)


def _file(tar: tarfile.TarFile, name: str | Path, path: Path, mode: int) -> None:
    content = path.read_bytes()
    info = tarfile.TarInfo(str(name).lstrip("/"))
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))


def present(name: str) -> bool:
    """Whether the engine has AWS's own image."""
    label = ["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{LABEL}"}}}}', name]
    known = subprocess.run(label, capture_output=True, text=True, check=False)
    return known.returncode == 0 and not known.stdout.strip()


def pulled(name: str, architecture: str) -> bool:
    """Pulls AWS's image; returns whether that succeeded."""
    command = ["docker", "pull", "--quiet", "--platform", PLATFORMS[architecture], name]
    try:
        pull = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PULL_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"{name} did not come within {PULL_SECONDS} seconds")
        return False
    if pull.returncode != 0:
        print(f"{name} cannot be pulled: {pull.stderr.strip()}")
    return pull.returncode == 0


def imported(name: str) -> None:
    """Makes the stand-in. Raises Missing, OSError or CalledProcessError."""
    layer = layers(platform.machine())
    changes = ["ENV LAMBDA_TASK_ROOT=/var/task PATH=/bin", "WORKDIR /var/task", f"LABEL {LABEL}=true"]
    options = [part for change in changes for part in ("--change", change)]
    subprocess.run(["docker", "import", *options, "-", name], input=layer, check=True, stdout=subprocess.DEVNULL)
    print(f"{name}: a stand-in of this machine's files, {len(layer) / 1e6:.1f} MB")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.base_image", description=__doc__.split("\n")[0])
    parser.add_argument("--arch", choices=sorted(PLATFORMS), help="default: this machine's")
    options = parser.parse_args()

    own = ARCHITECTURES.get(platform.machine(), platform.machine())
    architecture = options.arch or own
    name = f"{IMAGE}-{architecture}"
    try:
        if present(name):
            print(f"{name} is there already")
        elif not pulled(name, architecture):
            if architecture != own:
                raise Missing(f"a stand-in is of this machine's files, which are {own}")
            imported(name)
    except (Missing, OSError, subprocess.CalledProcessError) as error:
        print(f"tools.base_image: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
