"""Paragraphs of natural English that every Python installation has: the language reference's help topics.

`pydoc_data.topics` is what `help("topics")` shows. The selection is the same on every run and ordered by
hash, so that neighbours are unrelated. The texts differ slightly between Python's minor versions, and
with them a quantized model's bytes (not its quality), which is why each manifest has its own hashes.
Invariant: no paragraph appears twice, and none is in both sets.
"""

from __future__ import annotations

import hashlib
import re

MIN_CHARACTERS, MAX_CHARACTERS = 80, 1500
# Prose ends like a sentence and is mostly letters; tables, grammar rules and code are not.
MIN_LETTERS = 0.75


CALIBRATION = 100


def calibration() -> list[str]:
    """What the quantizer may look at."""
    return _paragraphs()[:CALIBRATION]


def evaluation(count: int) -> list[str]:
    """What it is measured on: other paragraphs. Raises ValueError if there are fewer than `count`."""
    rest = _paragraphs()[CALIBRATION:]
    if len(rest) < count:
        raise ValueError(f"only {len(rest)} paragraphs to evaluate on, {count} asked for")
    return rest[:count]


def _paragraphs() -> list[str]:
    from pydoc_data.topics import topics

    blocks = (block for topic in topics.values() for block in re.split(r"\n\s*\n", topic))
    return sorted({text for block in blocks if _is_prose(text := " ".join(block.split()))}, key=_order)


def _is_prose(text: str) -> bool:
    letters = sum(character.isalpha() or character == " " for character in text)
    return (
        MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS
        and text[0].isupper()
        and text.endswith(".")
        and letters >= MIN_LETTERS * len(text)
    )


def _order(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
