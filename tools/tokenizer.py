"""Loads a `tokenizer.json` the way the function uses it: special tokens, truncation, never padding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def load(path: Path, max_tokens: int) -> Callable[[str], list[int]]:
    """A function from text to token ids, at most `max_tokens` with the special tokens.

    Whatever padding and truncation the file itself asks for is overridden.
    """
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return lambda text: tokenizer.encode(text).ids
