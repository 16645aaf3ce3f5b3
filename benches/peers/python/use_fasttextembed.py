"""fasttextembed: `use_fasttextembed.py FOLDER`, the folder with `model.fte` and `vocab.tsv` of `tools/bench/fte.py`."""

import os
import sys
from pathlib import Path

from driven import serve
from fasttextembed import TextEmbedding

folder = Path(sys.argv[1])
THREADS = len(os.sched_getaffinity(0))
model = TextEmbedding(str(folder / "model.fte"), str(folder / "vocab.tsv"))
# One text is spread over the cores by another way than many, and that way is the faster one for it.
serve(lambda texts: [model.embed_one(texts[0])] if len(texts) == 1 else model.embed(texts, threads=THREADS))
