"""bge-small in the form that each program reads: `python -m tools.bench.folders` writes target/bench/model-*.

    stock       the int8 file that hubs serve, with the files that FastEmbed, fastembed-rs and the function need
    float32     the hub's own export, from which the int8 file was made
    fte         fasttextembed's own format
    checkpoint  PyTorch's, for sentence-transformers

All come from the same pinned files, and `peers.run` compares each program's first vector with the pinned values.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from tools.sources import BGE_SMALL, EXPORT, TOKENIZER

OWN = Path("models") / BGE_SMALL.id
STOCK = Path("target/bench/model-stock")
FLOAT32 = Path("target/bench/model-float32")
FTE = Path("target/bench/model-fte")
CHECKPOINT = Path("target/bench/model-checkpoint")

_SPECIAL = {"unk_token": "UNK", "sep_token": "SEP", "pad_token": "PAD", "cls_token": "CLS", "mask_token": "MASK"}


def stock(files: Path, folder: Path) -> None:
    """A hub's folder, and a model folder of ours as well, so that all programs read the same bytes."""
    from tools import fetch, manifest

    shutil.copyfile(fetch.stock_int8(), folder / "model.onnx")
    _tokenizer(files, folder)
    card = manifest.Card(
        id="stock-int8",
        name="Xenova/bge-small-en-v1.5",
        revision="model_quantized.onnx",
        license=BGE_SMALL.license,
        dimensions=384,
        max_tokens=BGE_SMALL.max_tokens,
        pooling=BGE_SMALL.pooling,
        query_prefix="",
        passage_prefix="",
        quantization="int8 weights of 7 bits per channel, as hubs serve it",
        recipe="stock",
    )
    manifest.write(folder, card, model="model.onnx")


def float32(files: Path, folder: Path) -> None:
    shutil.copyfile(files / EXPORT, folder / "model.onnx")
    _tokenizer(files, folder)


def fte(files: Path, folder: Path) -> None:
    from tools import weights
    from tools.bench import fte

    fte.write(weights.load(BGE_SMALL, files), files / TOKENIZER, folder)


def checkpoint(files: Path, folder: Path) -> None:
    """The export's tensors under the checkpoint's names, without the pooler, which nothing uses."""
    import numpy as np
    from safetensors.numpy import save_file

    from tools import export_weights

    assert BGE_SMALL.config
    tensors = export_weights.read(files / EXPORT, BGE_SMALL.config["num_hidden_layers"])
    found = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})
    _tokenizer(files, folder)


def _tokenizer(files: Path, folder: Path) -> None:
    """The tokenizer with the three files that older libraries want beside it, and the model's config.json."""
    special = {name: f"[{word}]" for name, word in _SPECIAL.items()}
    settings = special | {"model_max_length": 512, "tokenizer_class": "BertTokenizer", "do_lower_case": True}
    shutil.copyfile(files / TOKENIZER, folder / "tokenizer.json")
    (folder / "config.json").write_text(json.dumps(BGE_SMALL.config))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


MAKERS = {STOCK: stock, FLOAT32: float32, FTE: fte, CHECKPOINT: checkpoint}


def main() -> int:
    from tools import fetch

    files = fetch.fetch(BGE_SMALL)
    for folder, make in MAKERS.items():
        if not (folder / ".ready").exists():
            print(f"writing {folder}", file=sys.stderr)
            folder.mkdir(parents=True, exist_ok=True)
            make(files, folder)
            (folder / ".ready").touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
