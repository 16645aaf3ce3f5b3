"""FastEmbed over a local model folder, driven line by line; runs in its own virtual environment.

`fastembed_peer.py FOLDER BATCH`: prints `ready` after the first vector, then for each line of standard
input, a JSON list of texts, the seconds that embedding it took.
"""

import json
import sys
import time

from fastembed import TextEmbedding
from fastembed.common.model_description import ModelSource, PoolingType

FOLDER, BATCH = sys.argv[1], int(sys.argv[2])

TextEmbedding.add_custom_model(
    model="local/stock-int8",
    pooling=PoolingType.CLS,
    normalization=True,
    sources=ModelSource(hf="local/stock-int8"),
    dim=384,
    model_file="model.onnx",
)
model = TextEmbedding("local/stock-int8", specific_model_path=FOLDER, threads=2)
list(model.embed(["what does a cold start cost?"], batch_size=BATCH))
print("ready", flush=True)
for line in sys.stdin:
    texts = json.loads(line)
    started = time.perf_counter()
    vectors = list(model.embed(texts, batch_size=BATCH))
    assert len(vectors) == len(texts)
    print(time.perf_counter() - started, flush=True)
