"""A zip whose bytes depend only on its files' names, modes and contents.

Python's zipfile compresses with the zlib that it was linked with, and zlib-ng writes other bytes than zlib. libdeflate
comes pinned in a wheel and is the same everywhere, and its level 12 is 2 % smaller than zlib's 9, which is a megabyte
here. zipfile cannot use it, so this module compresses the entries and writes the few headers itself; the tests read
the result with zipfile and unzip.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import deflate

# 1980-01-01, the earliest date that a zip can hold; its time is zero.
EARLIEST = (0 << 9) | (1 << 5) | 1
LEVEL = 12
DEFLATED = 8
MADE_BY_UNIX = 3 << 8 | 20
NEEDS = 20
UTF8_NAMES = 0x800


@dataclass(frozen=True)
class Entry:
    """A file of the archive: its name there, where its bytes are, and its mode."""

    name: str
    path: Path
    mode: int


@dataclass(frozen=True)
class Packed:
    """An entry's bytes before and after compression."""

    name: str
    size: int
    packed: int


def write(archive: Path, entries: Sequence[Entry]) -> list[Packed]:
    """Writes `archive`, its entries sorted by name. No entry may reach 4 GB, which would need zip64."""
    report, directory, offset = [], [], 0
    with archive.open("wb") as file:
        for entry in sorted(entries, key=lambda e: e.name):
            content = entry.path.read_bytes()
            packed = bytes(deflate.deflate_compress(content, LEVEL))
            name = entry.name.encode()
            common = struct.pack(
                "<HHHHHIIIHH",
                NEEDS, UTF8_NAMES, DEFLATED, 0, EARLIEST, zlib.crc32(content), len(packed), len(content), len(name), 0,
            )  # fmt: skip
            file.write(b"PK\x03\x04" + common + name + packed)
            mode = (0o100000 | entry.mode) << 16
            tail = struct.pack("<HHHII", 0, 0, 0, mode, offset)
            directory.append(b"PK\x01\x02" + struct.pack("<H", MADE_BY_UNIX) + common + tail + name)
            offset += 4 + len(common) + len(name) + len(packed)
            report.append(Packed(entry.name, len(content), len(packed)))
        listing = b"".join(directory)
        file.write(listing)
        count = len(directory)
        file.write(b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, len(listing), offset, 0))
    return report
