"""Makes the tiny models that tests run on: `python -m tools.fixture` writes two folders.

    models/fixture/        our own int8 graph, CLS pooling inside, the same in standard operators, and golden.json
    models/fixture-stock/  the same weights as a stock export, without pooling; its user has to use mean pooling

A BERT of two layers with a small vocabulary of its own and random weights from a fixed seed. It understands nothing,
but all code that runs a real model also runs it. Output is the same to the byte on every machine, because the weights
come from SHAKE-256, not from a library's random generator.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from tools import graph, manifest, operators, ortformat, quantize, reference, stock, tokenizer, weights
from tools.fixture_texts import GOLDEN_TEXTS, VOCABULARY
from tools.integrity import write_atomically
from tools.manifest import MODEL, STANDARD_MODEL, STOCK_MODEL, TOKENIZER, Card

COMMAND = "python -m tools.fixture"
SEED = b"lambda-embed fixture 1"
HIDDEN, INNER, HEADS, LAYERS, POSITIONS = 32, 64, 2, 2, 128
MAX_TOKENS = 64  # below POSITIONS, as all-MiniLM-L6-v2's 256 is below its 512
RECIPE = quantize.Recipe(version="fixture-6", word_block=16)  # two blocks in each row
OUTLIER_CHANNEL, OUTLIER_GAIN = 7, 3.0  # inside, as real encoders have them


def encoder() -> weights.Bert:
    """The fixture's float32 weights."""
    return weights.from_tensors(*checkpoint())


def checkpoint() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The same as a config and tensors by name, as a hub would have them."""
    config = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "vocab_size": len(VOCABULARY),
        "max_position_embeddings": POSITIONS,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
    }
    tensors: dict[str, np.ndarray] = {}

    def draw(name: str, *shape: int, spread: float, around: float = 0.0) -> None:
        """Uniform values of standard deviation `spread`, on a grid that float32 holds exactly."""
        count = math.prod(shape)
        stream = hashlib.shake_256(SEED + name.encode()).digest(2 * count)
        units = np.frombuffer(stream, "<i2").reshape(shape).astype(np.float64) / 2**15
        tensors[name] = (around + units * spread * math.sqrt(3)).astype(np.float32)

    def draw_linear(name: str, inputs: int, outputs: int) -> None:
        draw(f"{name}.weight", outputs, inputs, spread=3.0 / math.sqrt(inputs))
        draw(f"{name}.bias", outputs, spread=0.1)

    def draw_norm(name: str, gain: float = OUTLIER_GAIN) -> None:
        draw(f"{name}.weight", HIDDEN, spread=0.1, around=1.0)
        draw(f"{name}.bias", HIDDEN, spread=0.1)
        tensors[f"{name}.weight"][OUTLIER_CHANNEL] *= gain

    draw("embeddings.word_embeddings.weight", len(VOCABULARY), HIDDEN, spread=1.0)
    draw("embeddings.position_embeddings.weight", POSITIONS, HIDDEN, spread=0.3)
    draw("embeddings.token_type_embeddings.weight", 2, HIDDEN, spread=0.3)
    draw_norm("embeddings.LayerNorm")
    for layer in range(LAYERS):
        base = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            draw_linear(f"{base}.attention.self.{part}", HIDDEN, HIDDEN)
        draw_linear(f"{base}.attention.output.dense", HIDDEN, HIDDEN)
        draw_norm(f"{base}.attention.output.LayerNorm")
        draw_linear(f"{base}.intermediate.dense", HIDDEN, INNER)
        draw_linear(f"{base}.output.dense", INNER, HIDDEN)
        is_last = layer + 1 == LAYERS  # an outlier here would make all vectors alike
        draw_norm(f"{base}.output.LayerNorm", gain=1.0 if is_last else OUTLIER_GAIN)
    return config, tensors


def tokenizer_json() -> bytes:
    """A WordPiece tokenizer in the hub's format, with padding and truncation a user must override."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    made = Tokenizer(models.WordPiece(vocab={word: index for index, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.add_special_tokens([AddedToken(word, special=True) for word in specials])
    ends = [(word, made.token_to_id(word)) for word in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    made.decoder = decoders.WordPiece()
    made.enable_truncation(16)
    made.enable_padding(length=16)
    return f"{made.to_str(pretty=True)}\n".encode()


def golden(bert: weights.Bert, tokenizer_file: Path) -> bytes:
    """Texts, their ids, their float32 reference vectors under both poolings, and the CLS vector's length."""
    encode = tokenizer.load(tokenizer_file, MAX_TOKENS)
    entries = []
    for text in GOLDEN_TEXTS:
        ids = encode(text)
        vectors = {pooling: _rounded(reference.embed(bert, ids, pooling)) for pooling in manifest.POOLINGS}
        length = round(float(np.linalg.norm(reference.hidden_states(bert, ids)[0])), 5)
        entries.append({"text": text, "ids": ids, "cls_length": length, **vectors})
    return (_lines({"command": COMMAND, "max_tokens": MAX_TOKENS}, entries)).encode()


def _rounded(vector: np.ndarray) -> list[float]:
    """Seven places: what float32 holds, and the same on every machine."""
    return [round(float(value), 7) for value in vector]


def _lines(head: dict[str, Any], entries: list[dict[str, Any]]) -> str:
    """JSON with one line for each text, so that a diff shows which text changed."""
    opening = json.dumps(head, ensure_ascii=False)[:-1]
    body = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    return f'{opening}, "texts": [\n{body}\n]}}\n'


def write(models: Path) -> None:
    """Writes both folders under `models`."""
    bert = encoder()
    fixture, plain = models / "fixture", models / "fixture-stock"
    for folder in (fixture, plain):
        write_atomically(folder / TOKENIZER, tokenizer_json())
    encode = tokenizer.load(fixture / TOKENIZER, MAX_TOKENS)
    prepared = quantize.prepare(bert, [encode(text) for text in GOLDEN_TEXTS], RECIPE)
    for file, arithmetic in {MODEL: operators.Packed(RECIPE), STANDARD_MODEL: quantize.Int8(RECIPE)}.items():
        built = graph.serialize(graph.build(prepared, "cls", arithmetic))
        write_atomically(fixture / file, ortformat.convert(built))
    write_atomically(plain / STOCK_MODEL, graph.serialize(stock.build(bert)))

    exact = weights.astype(bert, np.float64)

    def card(name: str, pooling: str, quantization: str, recipe: str, version: int | None = None) -> Card:
        return Card(
            id=name,
            name=f"lambda-embed/{name}",
            revision=SEED.decode(),
            license="Apache-2.0",
            dimensions=HIDDEN,
            max_tokens=MAX_TOKENS,
            pooling=pooling,
            query_prefix="query: ",
            passage_prefix="",
            quantization=quantization,
            recipe=recipe,
            note=f"random weights for tests, made by `{COMMAND}`",
            probe=reference.embed(exact, encode(manifest.PROBE), pooling).tolist(),
            operators=version,
        )

    write_atomically(fixture / "golden.json", golden(exact, fixture / TOKENIZER))
    manifest.write(fixture, card("fixture", "cls", RECIPE.description(), RECIPE.version, operators.VERSION))
    manifest.write(plain, card("fixture-stock", "mean", "none (float32)", "stock-1"), STOCK_MODEL)


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("models"), help="default: %(default)s")
    options = parser.parse_args()
    write(options.out)
    for path in sorted(options.out.glob("fixture*/*")):
        print(f"{path}: {path.stat().st_size / 1e3:.1f} kB")


if __name__ == "__main__":
    main()
