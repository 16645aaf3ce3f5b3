"""sentence-transformers on PyTorch: `use_pytorch.py FOLDER BATCH`, a checkpoint's folder. Its default batch is 32."""

import logging
import sys

import torch
from driven import serve
from sentence_transformers import SentenceTransformer, models

FOLDER, BATCH = sys.argv[1], int(sys.argv[2])

torch.set_num_threads(2)
# The checkpoint lacks the pooler, which nothing uses; transformers warns of it at every start.
logging.getLogger("transformers").setLevel(logging.ERROR)
parts = [models.Transformer(FOLDER, max_seq_length=512), models.Pooling(384, "cls"), models.Normalize()]
model = SentenceTransformer(modules=parts, device="cpu")
serve(lambda texts: model.encode(texts, batch_size=BATCH))
