"""Texts of known lengths: seeded, so that every run embeds the same.

Words are English's most frequent ones, each a token of its own. A text's cost depends on its length, not on its
meaning.
"""

from __future__ import annotations

import math
import random

SEED = 20261122
_WORDS = """the of and to in a is that for it as was with be by on not he his but at are this have from or had an
they which one you were all her she there would their we him been has when who will more no if out so said what up
its about than into them can only other new some could time these two may then do first any my now such like our
over man me even most made after also did many before must through back years where much your way well down should
because each just those people how too little state good very make world still own see men work long get here
between both life being under never day same another know while last might us great old year off come since against
go came right used take three""".split()


def text(rng: random.Random, words: int) -> str:
    """`words` words, as many tokens."""
    return " ".join(rng.choices(_WORDS, k=words))


def short(count: int) -> list[str]:
    """Queries of 8 to 24 tokens, special ones included."""
    rng = random.Random(SEED)
    return [text(rng, rng.randint(6, 22)) for _ in range(count)]


def mixed(count: int) -> list[str]:
    """Paragraphs: lengths log-normal with a mean of 45 tokens, at most 300."""
    rng = random.Random(SEED)
    sigma = 0.65
    location = math.log(45) - sigma**2 / 2
    lengths = (round(rng.lognormvariate(location, sigma)) for _ in range(count))
    return [text(rng, min(max(length, 5), 300) - 2) for length in lengths]


def long(count: int) -> list[str]:
    """As long as the model takes: 512 tokens."""
    rng = random.Random(SEED)
    return [text(rng, 510) for _ in range(count)]
