"""Builds the ONNX graph of a BERT encoder straight from its weights, with fused operators.

    input_ids [1, n] int64 -> rows of the word table + position rows -> layers -> pooling
                                                              -> embedding [1, hidden] float32

One unpadded text a run, so there is no mask and no token type (type 0 is part of the positions).
With CLS pooling the last layer asks only the first token's question: queries, attention output and
feed-forward for one row, keys and values for all. Pooling is inside, so that one vector leaves the
graph. It is not brought to unit length: that is one pass over a few hundred floats for whoever runs the
graph, and some callers want the vector as it is.

How a product and the word table are computed is the caller's choice (`Arithmetic`): plain float32
here, int8 in `quantize`. Everything else is the same graph.
Operators without a domain note are ONNX's own, opset 17; the fused ones are ONNX Runtime's
(`com.microsoft`), all of them with CPU kernels in 1.31.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.weights import Array, Bert, Layer, Linear, Norm

OPSET = 17
IR_VERSION = 8  # what opset 17 came with
MICROSOFT = "com.microsoft"


class Graph:
    """Nodes and constants being collected; each method returns the name of the value it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Array) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def integers(self, *values: int) -> str:
        """A small int64 vector, such as an axis or a bound."""
        return self.constant("int64_" + "_".join(map(str, values)), np.array(values, np.int64))

    def add(self, operator: str, inputs: list[str], name: str, domain: str = "", **attributes: object) -> str:
        """A node with one output, called `name`."""
        return self.add_many(operator, inputs, [name], domain, **attributes)[0]

    def add_many(
        self, operator: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: object
    ) -> list[str]:
        """A node with several outputs."""
        node = helper.make_node(operator, inputs, outputs, name=outputs[0], domain=domain, **attributes)
        self.nodes.append(node)
        return outputs


class Arithmetic(Protocol):
    """How products with constant weights are computed."""

    def rows(self, graph: Graph, words: Array, ids: str) -> str:
        """The word table's rows for `ids`: [1, n, hidden] float32."""

    def product(self, graph: Graph, x: str, linear: Linear, name: str, with_bias: bool) -> str:
        """`x @ weight`, float32 [1, n, in] -> [1, n, out], plus the bias if asked for."""


class Float32:
    """The exact arithmetic."""

    def rows(self, graph: Graph, words: Array, ids: str) -> str:
        return graph.add("Gather", [graph.constant("words", words), ids], "word_rows")

    def product(self, graph: Graph, x: str, linear: Linear, name: str, with_bias: bool) -> str:
        x = scaled(graph, x, linear, name)
        weight = graph.constant(f"{name}.weight", linear.weight)
        if not with_bias:
            return graph.add("MatMul", [x, weight], name)
        plain = graph.add("MatMul", [x, weight], f"{name}.unbiased")
        return graph.add("Add", [plain, graph.constant(f"{name}.bias", linear.bias)], name)


def scaled(graph: Graph, x: str, linear: Linear, name: str) -> str:
    """`x` times the product's input scale, if it has one."""
    if linear.input_scale is None:
        return x
    return graph.add("Mul", [x, graph.constant(f"{name}.input_scale", linear.input_scale)], f"{name}.scaled")


def build(bert: Bert, pooling: str, arithmetic: Arithmetic) -> onnx.ModelProto:
    """The whole graph; pooling is "cls" or "mean"."""
    graph = Graph()
    x = _embeddings(graph, bert, arithmetic)
    for index, layer in enumerate(bert.layers):
        first_only = pooling == "cls" and index == len(bert.layers) - 1
        x = _layer(graph, x, layer, str(index), bert, arithmetic, first_only)
    if pooling == "mean":
        graph.add("ReduceMean", [x], "embedding", axes=[1], keepdims=0)
    else:
        graph.add("Squeeze", [x, graph.integers(1)], "embedding")
    return _model(graph, bert)


def _embeddings(graph: Graph, bert: Bert, arithmetic: Arithmetic) -> str:
    rows = arithmetic.rows(graph, bert.words, "input_ids")
    length = graph.add("Shape", ["input_ids"], "length", start=1)
    table = graph.constant("positions", bert.positions)
    positions = graph.add("Slice", [table, graph.integers(0), length, graph.integers(0)], "position_rows")
    # The skip connection's operator is an addition and a layer norm, and it broadcasts over the batch.
    return _skip_norm(graph, [rows, positions], bert.embedding_norm, "embedding_norm", bert.epsilon)


def _layer(graph: Graph, x: str, layer: Layer, name: str, bert: Bert, arithmetic: Arithmetic, first_only: bool) -> str:
    hidden = bert.hidden
    if first_only:
        key_value = arithmetic.product(graph, x, _columns(layer.qkv, hidden, 3 * hidden), f"{name}.kv", True)
        parts = [f"{name}.key", f"{name}.value"]
        graph.add_many("Split", [key_value], parts, axis=2)
        bounds = [graph.integers(0), graph.integers(1), graph.integers(1)]
        x = graph.add("Slice", [x, *bounds], f"{name}.first")
        parts.insert(0, arithmetic.product(graph, x, _columns(layer.qkv, 0, hidden), f"{name}.query", True))
    else:
        qkv = arithmetic.product(graph, x, layer.qkv, f"{name}.qkv", True)
        parts = [f"{name}.query", f"{name}.key", f"{name}.value"]
        graph.add_many("Split", [qkv], parts, axis=2)
    context = graph.add("MultiHeadAttention", parts, f"{name}.context", MICROSOFT, num_heads=bert.heads)

    attended = arithmetic.product(graph, context, layer.output, f"{name}.output", False)
    bias = graph.constant(f"{name}.output.bias", layer.output.bias)
    x = _skip_norm(graph, [attended, x], layer.attention_norm, f"{name}.attention_norm", bert.epsilon, bias)

    # Not BiasGelu: its kernel takes a third longer than a bias in the product and a plain Gelu.
    inner = arithmetic.product(graph, x, layer.intermediate, f"{name}.intermediate", True)
    inner = graph.add("Gelu", [inner], f"{name}.gelu", MICROSOFT)

    down = arithmetic.product(graph, inner, layer.down, f"{name}.down", False)
    bias = graph.constant(f"{name}.down.bias", layer.down.bias)
    return _skip_norm(graph, [down, x], layer.output_norm, f"{name}.output_norm", bert.epsilon, bias)


def _columns(linear: Linear, start: int, stop: int) -> Linear:
    """The part of a Linear that computes outputs `start..stop`."""
    return Linear(linear.weight[:, start:stop], linear.bias[start:stop], linear.input_scale)


def _skip_norm(graph: Graph, x: list[str], norm: Norm, name: str, epsilon: float, bias: str | None = None) -> str:
    """`norm(x[0] + x[1] + bias)`."""
    gamma = graph.constant(f"{name}.gamma", norm.gamma)
    beta = graph.constant(f"{name}.beta", norm.beta)
    inputs = [*x, gamma, beta] + ([bias] if bias else [])
    return graph.add("SkipLayerNormalization", inputs, name, MICROSOFT, epsilon=epsilon)


def _model(graph: Graph, bert: Bert) -> onnx.ModelProto:
    body = helper.make_graph(
        graph.nodes,
        "encoder",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, bert.hidden])],
        list(graph.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lambda-embed")


def serialize(model: onnx.ModelProto) -> bytes:
    """The model file's bytes, the same for the same model."""
    return model.SerializeToString(deterministic=True)
