"""Natural English that every Python installation has: the help topics of the language reference.

`pydoc_data.topics` has the topics that `help("topics")` shows. Models are measured on them; the quantizer has never
seen them (see `calibration`). The selection is the same on every run and ordered by hash, so that neighbours are
unrelated; the texts differ slightly between Python's minor versions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

MIN_CHARACTERS, MAX_CHARACTERS = 80, 1500
# Prose ends like a sentence and is mostly letters; tables, grammar rules and code are not.
MIN_LETTERS = 0.75
SHORT_WORDS = range(4, 17)  # about 8 to 24 tokens, as search queries have


def paragraphs(count: int) -> list[str]:
    """Different paragraphs. Raises ValueError if there are fewer than `count`."""
    found = {text for topic in topics() for block in blocks(topic) if is_prose(text := " ".join(block.split()))}
    return _first(found, count, "paragraphs")


def sentences(count: int) -> list[str]:
    """Different short sentences out of such paragraphs. Raises ValueError if there are fewer than `count`."""
    prose = (text for topic in topics() for block in blocks(topic) if is_prose(text := " ".join(block.split())))
    parts = (part for text in prose for part in re.split(r"(?<=[.;:])\s+", text))
    short = (part for part in parts if part[0].isupper() and len(part.split()) in SHORT_WORDS)
    return _first(short, count, "sentences")


def topics() -> Iterable[str]:
    """The help topics' texts."""
    from pydoc_data.topics import topics as found

    return found.values()


def blocks(topic: str) -> list[str]:
    """The blocks between blank lines: paragraphs, headings, code."""
    return re.split(r"\n\s*\n", topic)


def is_prose(text: str) -> bool:
    """Whether a block, its whitespace made single, is a paragraph of English."""
    letters = sum(character.isalpha() or character == " " for character in text)
    return (
        MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS
        and text[0].isupper()
        and text.endswith(".")
        and letters >= MIN_LETTERS * len(text)
    )


def order(text: str) -> str:
    """A sorting key that puts unrelated texts beside each other."""
    return hashlib.sha256(text.encode()).hexdigest()


def _first(texts: Iterable[str], count: int, what: str) -> list[str]:
    found = sorted(set(texts), key=order)
    if len(found) < count:
        raise ValueError(f"only {len(found)} {what} to measure on, {count} asked for")
    return found[:count]
