"""fasttextembed: `use_fasttextembed.py FOLDER`, the folder with `model.fte` and `vocab.tsv` of `tools/bench/fte.py`."""

import os
import sys
from pathlib import Path

from driven import serve
from fasttextembed import TextEmbedding

folder = Path(sys.argv[1])
THREADS = len(os.sched_getaffinity(0))
model = TextEmbedding(str(folder / "model.fte"), str(folder / "vocab.tsv"))
# A single text and many texts use the cores in different ways; for a single text this one is faster.
serve(lambda texts: [model.embed_one(texts[0])] if len(texts) == 1 else model.embed(texts, threads=THREADS))
