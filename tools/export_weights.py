"""Reads a BERT encoder's tensors from PyTorch's ONNX export, which hubs and Maven artifacts serve.

    /encoder/layer.0/attention/self/query/MatMul  ->  encoder.layer.0.attention.self.query.weight

The exporter folds a product's weight into an initialiser [in, out] with a number for a name, so a tensor is named
after the module whose node uses it. The result has the names and the layout of the checkpoint's own tensors
(a Linear's weight is [out, in]), bit for bit, so `weights.from_tensors` reads both.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from tools.weights import Array, WeightsError

# The name of a node's initialiser within its module, by operator and position among the node's inputs; None: the one of
# the two inputs that is an initialiser.
_ROLES: dict[str, dict[int | None, str]] = {
    "Gather": {0: "weight"},
    "MatMul": {1: "weight"},
    "Mul": {None: "weight"},  # a layer norm's gain
    "Add": {None: "bias"},
    "LayerNormalization": {1: "weight", 2: "bias"},
}


def read(path: Path, layers: int) -> dict[str, Array]:
    """The tensors of the export at `path` by their checkpoint's names, each as it stands in the checkpoint.

    Raises WeightsError if the graph is no float32 export of a BERT encoder with `layers` layers and the exact gelu.
    """
    graph = onnx.load(path).graph
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    tensors: dict[str, Array] = {}
    for node in graph.node:
        module = node.name.strip("/").rpartition("/")[0].replace("/", ".")
        for index, name in enumerate(node.input):
            role = _ROLES.get(node.op_type, {})
            part = role.get(index) or role.get(None)
            tensor = initialisers.get(name)
            if module and part and tensor is not None and tensor.data_type == onnx.TensorProto.FLOAT:
                values = numpy_helper.to_array(tensor)
                tensors[f"{module}.{part}"] = values.T if node.op_type == "MatMul" else values
    _check(path, graph, tensors, layers)
    return tensors


def _check(path: Path, graph: onnx.GraphProto, tensors: dict[str, Array], layers: int) -> None:
    """Checks by names and operators that the graph is an encoder as in `weights.Bert`."""

    def refuse(reason: str) -> None:
        raise WeightsError(f"{path.name} is no float32 export of a BERT encoder with {layers} layers: {reason}")

    wanted = ["embeddings.word_embeddings.weight", *(f"encoder.layer.{n}.output.dense.weight" for n in range(layers))]
    for name in wanted:
        if name not in tensors:
            refuse(f"no node holds the tensor {name}")
    if f"encoder.layer.{layers}.output.dense.weight" in tensors:
        refuse("it has more layers")
    gelus = sum(node.op_type == "Erf" for node in graph.node)
    gelus += sum(node.op_type == "Gelu" and _is_exact(node) for node in graph.node)
    if gelus != layers:
        refuse(f"{gelus} of its layers use the exact gelu")


def _is_exact(node: onnx.NodeProto) -> bool:
    return all(np.bytes_(attribute.s) == b"none" for attribute in node.attribute if attribute.name == "approximate")
