"""The file everybody serves: `python -m tools.bench.stock` writes target/bench/stock/.

bge-small's shape as a stock export, quantized with ONNX Runtime's own defaults, beside the files that
FastEmbed and fastembed-rs ask for. It is the "same int8 file" of every comparison, and it is a model
folder of ours as well, so that all four programs read the same bytes.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

FOLDER = Path("target/bench/stock")
SHAPE = "bge-small-shape"


def build(folder: Path = FOLDER) -> Path:
    """Writes the folder unless it is there whole."""
    if (folder / "manifest.json").exists():
        return folder
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    from tools import fetch, manifest, stock, weights
    from tools.sources import SOURCES

    source = SOURCES[SHAPE]
    files = fetch.fetch(source)
    bert = weights.stacked(weights.load(files / "config.json", files / "model.safetensors"), source.repeat)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lambda-embed-") as scratch:
        plain = Path(scratch) / "plain.onnx"
        onnx.save(stock.build(bert), plain)
        quantize_dynamic(plain, folder / "model.onnx", weight_type=QuantType.QUInt8)
    shutil.copyfile(files / "config.json", folder / "config.json")
    # The tokenizer's own padding and cut-off at 128 tokens are MiniLM's; bge-small has neither.
    tokenizer = json.loads((files / "tokenizer.json").read_text()) | {"padding": None, "truncation": None}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    special = {name: f"[{word}]" for name, word in _SPECIAL.items()}
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    settings = special | {"model_max_length": 512, "tokenizer_class": "BertTokenizer", "do_lower_case": True}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    manifest.write(
        folder,
        manifest.Card(
            id="stock-int8",
            name="stock-int8",
            revision="1",
            license=source.license,
            dimensions=bert.hidden,
            max_tokens=512,
            pooling="cls",
            query_prefix="",
            passage_prefix="",
            quantization="ONNX Runtime's quantize_dynamic, its defaults",
            recipe="stock",
            note=source.note,
        ),
        model="model.onnx",
    )
    return folder


_SPECIAL = {"unk_token": "UNK", "sep_token": "SEP", "pad_token": "PAD", "cls_token": "CLS", "mask_token": "MASK"}


if __name__ == "__main__":
    print(build())
    sys.exit(0)
