"""The licence texts of everything that is linked, in one file: each text once, with the crates that use it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tools.package.crates import Crate

# Names of the files that have to be distributed with a crate's code.
NAMES = ("licence", "license", "copying", "notice", "unlicense", "copyright", "patents")
# -sys crates have the C project that they wrap one folder deeper.
DEPTH = 2
RULE = "=" * 100


def texts(folder: Path) -> list[Path]:
    """The licence files of a crate, in a fixed order."""
    found = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if len(parts) <= DEPTH and path.is_file() and path.name.lower().startswith(NAMES):
            if path.suffix.lower() in ("", ".md", ".txt") or path.suffix.lower().startswith((".mit", ".apache")):
                found.append(path)
    return sorted(found)


def notices(crates: Sequence[Crate], others: Sequence[tuple[str, Path]]) -> str:
    """The file's text; `others` are the parts that are not crates, each with its licence file."""
    users: dict[str, list[str]] = {}
    bare = []
    for crate in crates:
        files = texts(crate.folder)
        if not files:
            bare.append(f"{crate.name} {crate.version}: {crate.licence}; {crate.repository}")
        for file in files:
            text = "\n".join(line.rstrip() for line in file.read_text(errors="replace").strip().splitlines())
            named = users.setdefault(text, [])
            name = f"{crate.name} {crate.version} ({crate.licence})"
            if name not in named:
                named.append(name)
    for name, file in others:
        users.setdefault(file.read_text(errors="replace").strip(), []).append(name)
    parts = ["Third-party licences of lambda-embed. Each text stands under the names of those who come under it."]
    if bare:
        listed = "\n".join(f"  {line}" for line in bare)
        parts.append(f"Published without a licence file; the licence as their manifests declare it:\n{listed}")
    for text, named in users.items():
        parts.append(f"{RULE}\n" + "\n".join(named) + f"\n{'-' * 100}\n{text}")
    return "\n\n".join(parts) + "\n"
