"""Writes `manifest.json`, which makes a folder a model: the model's facts and the hash of every file.

For a model of your own, put `model.onnx` and `tokenizer.json` into a folder and run

    python -m tools.manifest DIR --id my-model --pooling mean --max-tokens 512 --dimensions 384

The graph may be a stock export (`input_ids`, `attention_mask`, `token_type_ids` in,
`last_hidden_state` out) or end in an `embedding` of its own.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.integrity import matches, sha256_of, write_atomically

FORMAT = 1
NAME = "manifest.json"
OPERATORS = 1  # the version of our own operators, the crate's; it refuses weights of another
MODEL, STANDARD_MODEL, STOCK_MODEL, TOKENIZER = "model.ort", "standard.ort", "model.onnx", "tokenizer.json"
POOLINGS = ("cls", "mean")
# The first text that a start embeds, to check that its processor computes the same vector as the model's build.
PROBE = "a quick look at every start"


@dataclass(frozen=True)
class Card:
    """The facts that a manifest states besides its files.

    `recipe` names the code and settings that made the graph. `probe` is the unit vector [dimensions] that the
    float32 weights give for PROBE, [CLS] and [SEP] around it and no prefix; without it a start checks nothing.
    `operators` is the version of our own operators that the graph has.
    """

    id: str
    name: str
    revision: str
    license: str
    dimensions: int
    max_tokens: int
    pooling: str
    query_prefix: str
    passage_prefix: str
    quantization: str
    recipe: str
    note: str | None = None
    probe: Sequence[float] | None = None
    operators: int | None = None


def write(folder: Path, card: Card, model: str = MODEL, tokenizer: str = TOKENIZER) -> None:
    """Writes the manifest of a folder whose other files are complete. File names are relative to it.

    A folder of our own operators may have the standard graph as well.
    """
    stated = {key: value for key, value in vars(card).items() if value is not None}
    if card.probe is not None:  # four decimals, so that every machine writes the same bytes
        stated["probe"] = {"text": PROBE, "vector": [round(float(value), 4) for value in card.probe]}
    files = {"model": _entry(folder, model), "tokenizer": _entry(folder, tokenizer)}
    if card.operators is not None and (folder / STANDARD_MODEL).exists():
        files["standard_model"] = _entry(folder, STANDARD_MODEL)
    content = json.dumps({"format": FORMAT, **stated, "files": files}, indent=2, ensure_ascii=False)
    content = re.sub(r"(?<=[\d,])\s+(?=-?\d)", " ", content)  # a vector on one line
    write_atomically(folder / NAME, f"{content}\n".encode())


def read(folder: Path) -> dict[str, Any]:
    """The manifest as it stands. Raises FileNotFoundError or json.JSONDecodeError."""
    return json.loads((folder / NAME).read_text(encoding="utf-8"))


def is_current(folder: Path, revision: str, recipe: str, standard: bool = False) -> bool:
    """Whether the folder holds this revision, made by this recipe, with or without the standard graph, and every file
    has its hash.
    """
    try:
        manifest = read(folder)
        stated = (manifest["format"], manifest["revision"], manifest["recipe"], manifest["probe"]["text"])
        as_asked = ("standard_model" in manifest["files"]) == standard
        return as_asked and stated == (FORMAT, revision, recipe, PROBE) and all(
            matches(folder / entry["path"], entry["sha256"]) for entry in manifest["files"].values()
        )
    except (OSError, ValueError, KeyError):
        return False  # absent or unreadable, so it is built again


def _entry(folder: Path, path: str) -> dict[str, Any]:
    file = folder / path
    return {"path": path, "sha256": sha256_of(file), "size": file.stat().st_size}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.manifest", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--id", required=True)
    parser.add_argument("--pooling", choices=POOLINGS, required=True)
    parser.add_argument("--max-tokens", type=int, required=True, help="longest input, special tokens included")
    parser.add_argument("--dimensions", type=int, required=True)
    parser.add_argument("--name", help="as people know it, such as BAAI/bge-small-en-v1.5; default: the id")
    parser.add_argument("--revision", default="unknown")
    parser.add_argument("--license", default="unknown")
    parser.add_argument("--query-prefix", default="")
    parser.add_argument("--passage-prefix", default="")
    parser.add_argument("--quantization", default="unknown")
    parser.add_argument("--recipe", default="brought by its user")
    parser.add_argument("--note")
    parser.add_argument("--model", default=STOCK_MODEL, help="default: %(default)s")
    parser.add_argument("--tokenizer", default=TOKENIZER, help="default: %(default)s")
    stated = vars(parser.parse_args())

    folder, model, tokenizer = (stated.pop(key) for key in ("folder", "model", "tokenizer"))
    card = Card(**{**stated, "name": stated["name"] or stated["id"]})
    try:
        write(folder, card, model, tokenizer)
    except OSError as error:
        print(f"tools.manifest: {error}", file=sys.stderr)
        return 1
    print(f"{folder / NAME}: {card.name}, {card.dimensions} dimensions, {card.pooling} pooling")
    return 0


if __name__ == "__main__":
    sys.exit(main())
