"""The fixture's vocabulary and the texts its golden vectors are made of."""

from __future__ import annotations

import string

_WORDS = """
    the of and to in a is that for it as was with be by on not he his but at are this have from or had an they
    which one you were all her she there would their we him been has when who will no more if out so up said what
    its about than into them can only other time new some could these two may first then do any like my now over
    such our man me even most made after also did many off before must well back through years where much your way
    down should because long each just state those people too how little good world make very year still see work
    life being under day same another know while last might great old come since against go came right three take
    house use text model vector word sentence query passage search embed function cloud lambda server memory index
    document language number list value name object class string return call default example hello fox dog quick
    brown jump lazy river water food paper music city north south red green blue small large open read write
""".split()
_ENDINGS = "s ed ing er est ly ion ment ness able al ive ful less ize ity ous en es or an th st".split()

# Letters that lower-casing and accent stripping leave as they are, and ideographs, which stand alone.
_LETTERS_BEYOND_ASCII = "æßøđłþαβγδжшя"
_IDEOGRAPHS = "一中国日本語文水火人大小学山"

_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ALPHABET = string.ascii_lowercase + string.digits + _LETTERS_BEYOND_ASCII


def _vocabulary() -> list[str]:
    singles = [*string.punctuation, *_ALPHABET, *_IDEOGRAPHS]
    pieces = [f"##{letter}" for letter in _ALPHABET] + [f"##{ending}" for ending in _ENDINGS]
    return list(dict.fromkeys([*_SPECIALS, *singles, *_WORDS, *pieces]))


# Index is token id. Every ASCII text can be spelt; a character that is not here makes its word [UNK].
VOCABULARY = _vocabulary()

GOLDEN_TEXTS = (
    "hello world",
    "query: hello world",
    "The quick brown fox jumps over the lazy dog.",
    "Lambda functions embed documents in the cloud, one vector for each text.",
    "",
    " \t\n ",
    "a",
    "Crème brûlée, naïve façade: Æsir, Straße, Øre, łódź.",
    "日本語の文 and 中国 in one text",
    "unbelievably longwindedness-less words! (100% of them, $3.14 each)",
    "emoji 🙂 and control \u0000\u0007 characters \u200b between\u00a0words",
    "שלום עולם, مرحبا",
    "[CLS] written out in the text [SEP] and [MASK]",
    "long " * 200,
)
