"""Tables for people and JSON for programs, from the same rows."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

Row = Mapping[str, object]
# The kernel's names, of x86_64 and arm64, and the common ones.
INSTRUCTION_SETS = {
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512-VNNI",
    "amx_int8": "AMX",
    "asimddp": "dot products",
    "i8mm": "I8MM",
    "sve": "SVE",
}


def median(values: Sequence[float]) -> float:
    """The middle value; of an even number the mean of the middle two."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def table(rows: Sequence[Row]) -> str:
    """Rows with the same keys as a Markdown table."""
    names = list(rows[0])
    cells = [[_cell(row[name]) for name in names] for row in rows]
    lines = [names, ["---"] * len(names), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def machine() -> str:
    """The processor, the instruction sets that decide int8's speed, the cores and the date."""
    lines = (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())
    stated = {name.strip(): value.strip() for name, _, value in lines}
    flags = stated.get("flags", stated.get("Features", "")).split()
    sets = [name for flag, name in INSTRUCTION_SETS.items() if flag in flags]
    model = stated.get("model name", platform.machine())
    if "cpu family" in stated:
        model += f" (family {stated['cpu family']}, model {stated['model']})"
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {', '.join(sets) or 'none of the instruction sets looked for'}, {cores} cores, {date.today()}"


def write(path: Path, content: Mapping[str, object]) -> None:
    """`content` with the machine it was measured on, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": machine(), **content}, indent=2) + "\n")
    print(f"\n{path}")
