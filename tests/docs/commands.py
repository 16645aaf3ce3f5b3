"""The commands that a Markdown file tells its reader to type: fenced `sh` blocks and indented ones."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A command starts with one of these; any other indented block is a drawing or an answer.
PROGRAMS = (
    "aws", "bootstrap", "cargo", "curl", "docker", "eval", "export", "make", "npm", "npx", "pip", "python", "python3", "sam",
    "terraform",
)  # fmt: skip
# A shell function around one command, and a command whose output another command uses.
FUNCTION = re.compile(r"^\w+\(\) \{ (.*?);? \}$")
INNER = re.compile(r"\$\(([^()]*)\)")


@dataclass(frozen=True)
class Command:
    """One line as it is typed, with its continuations, and its place."""

    file: str
    line: int
    text: str

    @property
    def program(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def words(self) -> list[str]:
        """The words without variables before the program and without a comment after it."""
        words = re.sub(r"\s#\s.*", "", self.text).split()
        while words and re.fullmatch(r"[A-Z_0-9]+=\S*", words[0]):
            words = words[1:]
        return words


def files() -> list[Path]:
    return [ROOT / "README.md", ROOT / "RELEASING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands() -> list[Command]:
    return [
        Command(whole.file, whole.line, text)
        for path in files()
        for whole in _of(path)
        for text in _each(whole.text)
        if Command(whole.file, whole.line, text).program in PROGRAMS
    ]


def _each(text: str) -> Iterator[str]:
    """A line's command and the commands inside it, each on its own; X stands for the output of an inner one."""
    if found := FUNCTION.match(text):
        text = found[1]
    while found := INNER.search(text):
        yield found[1]
        text = text[: found.start()] + "X" + text[found.end() :]
    yield text


def _of(path: Path) -> Iterator[Command]:
    fenced, pending, start = None, "", 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("```"):
            fenced = None if fenced is not None else line[3:].strip()
            continue
        if fenced in ("sh", "bash", "console"):
            text = line.strip()
        elif fenced is None and line.startswith("    "):
            text = line.strip()
        elif fenced is None:
            # Commands inside a sentence or a table, as far as they are complete.
            for found in re.findall(r"`((?:aws|make|python3|sam|cargo lambda|bootstrap) [^`…]+)`", line):
                yield Command(path.name, number, found)
            continue
        else:
            continue
        start = start or number
        if text.endswith("\\"):
            pending += text[:-1]
            continue
        yield Command(path.name, start, (pending + text).strip())
        pending, start = "", 0
