"""FastEmbed: `use_fastembed.py FOLDER BATCH`, the folder with a hub's files, `model.onnx` among them."""

import sys

from driven import serve
from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

FOLDER, BATCH = sys.argv[1], int(sys.argv[2])

TextEmbedding.add_custom_model(
    model="local/bge-small",
    pooling=PoolingType.CLS,
    normalization=True,
    sources=ModelSource(hf="local/bge-small"),
    dim=384,
    model_file="model.onnx",
)
model = TextEmbedding("local/bge-small", specific_model_path=FOLDER, threads=2)
serve(lambda texts: list(model.embed(texts, batch_size=BATCH)))
