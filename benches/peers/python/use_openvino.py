"""OpenVINO: `use_openvino.py FOLDER`, a folder with `model.onnx` and `tokenizer.json`.

One unpadded text a request, and as many requests at once as there are cores: the fastest way here.
"""

import os
import sys
from pathlib import Path

import numpy as np
import openvino
from driven import serve
from tokenizers import Tokenizer

folder = Path(sys.argv[1])
CORES = len(os.sched_getaffinity(0))
tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
tokenizer.no_padding()
tokenizer.enable_truncation(512)
settings = {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": CORES, "INFERENCE_NUM_THREADS": CORES}
compiled = openvino.Core().compile_model(folder / "model.onnx", "CPU", settings)
queue = openvino.AsyncInferQueue(compiled, CORES)


def embed(texts: list[str]) -> list[np.ndarray]:
    vectors: list[np.ndarray] = [np.empty(0)] * len(texts)

    def take(request: openvino.InferRequest, place: int) -> None:
        first = request.get_output_tensor(0).data[0, 0]
        vectors[place] = first / np.linalg.norm(first)

    queue.set_callback(take)
    for place, text in enumerate(texts):
        ids = np.array([tokenizer.encode(text).ids])
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        queue.start_async(inputs, place)
    queue.wait_all()
    return vectors


serve(embed)
