"""Writes the expected values of the Rust tests: `python -m tools.golden bge-small-en-v1.5`.

- tests/goldens/tokens.json, checked in: the reference tokenizer's ids for texts that are difficult to tokenise. Every
  BERT model with the uncased English vocabulary shares them.
- target/goldens/<id>.json: the float32 graph's vectors of the evaluation paragraphs, from the model's own weights. Not
  checked in, because 200 vectors are large and quick to make.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

from tools import corpus, manifest, session, tokenizer
from tools.integrity import write_atomically

TOKENS = Path("tests/goldens/tokens.json")
VECTORS = Path("target/goldens")
PARAGRAPHS = 200
DIGITS = 8

# (text, how often it is repeated). More ids than SHOWN are kept as their count and hash.
NASTY = [
    ("", 1),
    ("   \t \n  ", 1),
    ("hello world", 1),
    ("word ", 10_000),
    ("Crème Brûlée naïve façade Ångström", 1),
    ("e\u0301 decomposed, \u00e9 composed", 1),
    ("北京大学的学生学习中文。日本語のテキスト、한국어 문장", 1),
    ("👩‍👩‍👧‍👦 family 🏳️‍🌈 flag 👍🏽 skin", 1),
    ("bell\u0007 null\u0000 escape\u001b[31m zero\u200bwidth soft\u00adhyphen bom\ufeff replaced\ufffd", 1),
    ("مرحبا بالعالم שלום עולם mixed left", 1),
    ("a", 1_000_000),
    ("[CLS] [SEP] [MASK] [PAD] [UNK] [cls] [CLS]glued[SEP]", 1),
    ("don't stop: 3.14159e-10 @user #tag https://example.com/a?b=c&d=%20 C++ x<y>z $5.00", 1),
    ("\u00a0no\u2003break\u3000spaces\u2028line\u2029paragraph\u0085next", 1),
    ("ＦＵＬＬｗｉｄｔｈ ﬁne ligature Ⅷ ½ ℃ İstanbul ẞ ß", 1),
    ("antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis", 1),
    ("\U0010ffff\ue000 private \U0001f9ff\u0300\u0301\u0302 stacked", 1),
]
SHOWN = 200


def tokens(folder: Path) -> None:
    """Ids of every difficult text, with special tokens and without truncation."""
    encode = tokenizer.load(folder / "tokenizer.json", 1 << 30)
    entries = []
    for text, times in NASTY:
        ids = encode(text * times)
        entry: dict[str, object] = {"text": text, "times": times, "count": len(ids)}
        if len(ids) <= SHOWN:
            entry["ids"] = ids
        else:
            entry["sha256"] = hashlib.sha256(b"".join(id.to_bytes(4, "little") for id in ids)).hexdigest()
        entries.append(entry)
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    command = f"python -m tools.golden {manifest.read(folder)['id']} --tokens"
    TOKENS.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(TOKENS, f'{{"command": {json.dumps(command)}, "texts": [\n{lines}\n]}}\n'.encode())


def vectors(folder: Path, fp32: Path) -> None:
    """The float32 graph's vectors of "hello world" and of the evaluation paragraphs."""
    stated = manifest.read(folder)
    encode = tokenizer.load(folder / "tokenizer.json", stated["max_tokens"])
    texts = ["hello world", *corpus.paragraphs(PARAGRAPHS)]
    exact = session.embed(session.load(fp32), map(encode, texts))
    rounded = [[round(float(value), DIGITS) for value in vector] for vector in exact]
    entries = [{"text": text, "vector": vector} for text, vector in zip(texts, rounded, strict=True)]
    VECTORS.mkdir(parents=True, exist_ok=True)
    content = {"id": stated["id"], "texts": entries}
    write_atomically(VECTORS / f"{stated['id']}.json", json.dumps(content).encode())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.golden", description=__doc__.split("\n")[0])
    parser.add_argument("id", help="a model in models/")
    parser.add_argument("--tokens", action="store_true", help="write the checked-in token ids")
    parser.add_argument("--fp32", type=Path, help="write vectors of this graph, from `tools.build --keep-fp32`")
    options = parser.parse_args()
    folder = Path("models") / options.id
    if options.tokens:
        tokens(folder)
    if options.fp32:
        vectors(folder, options.fp32)
    return 0


if __name__ == "__main__":
    sys.exit(main())
