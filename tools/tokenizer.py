"""Loads a `tokenizer.json` as the function does: with special tokens and truncation, without padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def load(path: Path, max_tokens: int) -> Callable[[str], list[int]]:
    """A function from text to token ids, at most `max_tokens` with the special tokens.

    Ignores the padding and truncation that the file itself sets.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return lambda text: tokenizer.encode(text).ids
