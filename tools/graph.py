"""Builds the ONNX graph of a BERT encoder straight from its weights, in the operators that are fastest.

    input_ids [1, n] int64 -> rows of the word table + position rows -> layers -> pooling
                                                              -> embedding [1, hidden] float32

One unpadded text a run, so there is no mask and no token type (type 0 is part of the positions).
With CLS pooling the last layer computes only the first token's row: queries, attention output and feed-forward for
one row, keys and values for all. Pooling is inside, so the graph returns one vector. It does not normalise the vector:
that is one pass over a few hundred floats for the graph's user, and some callers want the raw vector.

The caller chooses how the layers' parts are computed (`Arithmetic`): in plain float32 here, in int8 by ONNX Runtime's
operators in `quantize`, by operators of our own in `operators`. Everything else is the same graph.
Operators without a domain note are ONNX's own, opset 17; of the others those in `com.microsoft` are ONNX Runtime's, all
of them with CPU kernels in 1.31. Fused operators are not always faster: docs/quantization.md
has the figures for SkipLayerNormalization and BiasGelu, which are not used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tools.weights import Array, Bert, Layer, Linear, Norm

OPSET = 17
IR_VERSION = 8  # opset 17's
MICROSOFT = "com.microsoft"
TOKENS = "tokens"  # the only dimension that differs between runs


class Graph:
    """Nodes and constants being collected; each method returns the name of the value it made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.shapes: dict[str, tuple[int | str, ...]] = {}

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

    def state_shape(self, name: str, *shape: int | str) -> str:
        """States the float32 value's shape, which shape inference cannot know; returns the value's name.

        One unknown dimension makes every later one unknown. Then ONNX Runtime, when it loads the graph, builds the
        bodies of operators that are functions to find their shapes: 30 ms became 50 for twelve layers.
        """
        self.shapes[name] = shape
        return name

    def rows_of(self, name: str) -> int | str:
        """How many rows the value `[..., rows, width]` has, as far as it was stated; else one for each token."""
        return self.shapes.get(name, (TOKENS, 0))[-2]

    def add_many(
        self, operator: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: object
    ) -> list[str]:
        """A node with several outputs."""
        node = helper.make_node(operator, inputs, outputs, name=outputs[0], domain=domain, **attributes)
        self.nodes.append(node)
        return outputs


class Arithmetic(ABC):
    """How the parts of an encoder are computed; all but `rows` and `product` by operators of ONNX Runtime unless overridden."""

    opsets: Sequence[tuple[str, int]] = (("", OPSET), (MICROSOFT, 1))

    @abstractmethod
    def rows(self, graph: Graph, words: Array, ids: str) -> str:
        """The word table's rows for `ids`: [1, n, hidden] float32."""

    @abstractmethod
    def product(self, graph: Graph, x: str, linear: Linear, name: str) -> str:
        """`x @ weight + bias`, float32 [1, n, in] -> [1, n, out]."""

    def feed_forward(self, graph: Graph, x: str, up: Linear, down: Linear, name: str) -> str:
        """Two products with gelu between them."""
        inner = self.product(graph, x, up, f"{name}.intermediate")
        return self.product(graph, graph.add("Gelu", [inner], f"{name}.gelu", MICROSOFT), down, f"{name}.down")

    def attention(self, graph: Graph, x: str, first: str | None, qkv: Linear, name: str, heads: int) -> str:
        """What the rows of x attend to, [1, n, hidden]; with `first`, which is the first row of x, only for that row."""
        hidden = qkv.weight.shape[0]
        parts = [f"{name}.query", f"{name}.key", f"{name}.value"]
        if first:
            key_value = self.product(graph, x, _columns(qkv, hidden, 3 * hidden), f"{name}.kv")
            graph.add_many("Split", [key_value], parts[1:], axis=2)
            self.product(graph, first, _columns(qkv, 0, hidden), parts[0])
        else:
            graph.add_many("Split", [self.product(graph, x, qkv, f"{name}.qkv")], parts, axis=2)
        return graph.add("MultiHeadAttention", parts, f"{name}.context", MICROSOFT, num_heads=heads)

    def norm_residual(self, graph: Graph, x: str, residual: str, norm: Norm, name: str, epsilon: float) -> str:
        """`norm(x + residual)`."""
        inputs = [graph.add("Add", [x, residual], f"{name}.sum"), *factors(graph, norm, name)]
        return graph.add("LayerNormalization", inputs, name, axis=-1, epsilon=epsilon)


class Float32(Arithmetic):
    """The exact arithmetic."""

    def rows(self, graph: Graph, words: Array, ids: str) -> str:
        return graph.add("Gather", [graph.constant("words", words), ids], "word_rows")

    def product(self, graph: Graph, x: str, linear: Linear, name: str) -> str:
        x = scaled(graph, x, linear, name)
        weight = graph.constant(f"{name}.weight", linear.weight)
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
    return _model(graph, bert, arithmetic)


def _embeddings(graph: Graph, bert: Bert, arithmetic: Arithmetic) -> str:
    rows = arithmetic.rows(graph, bert.words, "input_ids")
    length = graph.add("Shape", ["input_ids"], "length", start=1)
    table = graph.constant("positions", bert.positions)
    positions = graph.add("Slice", [table, graph.integers(0), length, graph.integers(0)], "position_rows")
    graph.state_shape(positions, TOKENS, bert.hidden)
    return arithmetic.norm_residual(graph, rows, positions, bert.embedding_norm, "embedding_norm", bert.epsilon)


def _layer(graph: Graph, x: str, layer: Layer, name: str, bert: Bert, arithmetic: Arithmetic, first_only: bool) -> str:
    first = None
    if first_only:
        bounds = [graph.integers(0), graph.integers(1), graph.integers(1)]
        first = graph.state_shape(graph.add("Slice", [x, *bounds], f"{name}.first"), 1, 1, bert.hidden)
    context = arithmetic.attention(graph, x, first, layer.qkv, name, bert.heads)
    x = first or x

    attended = arithmetic.product(graph, context, layer.output, f"{name}.output")
    norm = f"{name}.attention_norm"
    x = arithmetic.norm_residual(graph, attended, x, layer.attention_norm, norm, bert.epsilon)

    inner = arithmetic.feed_forward(graph, x, layer.intermediate, layer.down, name)
    return arithmetic.norm_residual(graph, inner, x, layer.output_norm, f"{name}.output_norm", bert.epsilon)


def _columns(linear: Linear, start: int, stop: int) -> Linear:
    """The part of a Linear that computes outputs `start..stop`."""
    return Linear(linear.weight[:, start:stop], linear.bias[start:stop], linear.input_scale)


def factors(graph: Graph, norm: Norm, name: str) -> list[str]:
    """The norm's constants."""
    return [graph.constant(f"{name}.gamma", norm.gamma), graph.constant(f"{name}.beta", norm.beta)]


def _model(graph: Graph, bert: Bert, arithmetic: Arithmetic) -> onnx.ModelProto:
    body = helper.make_graph(
        graph.nodes,
        "encoder",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, TOKENS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, bert.hidden])],
        list(graph.constants.values()),
        value_info=[
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in graph.shapes.items()
        ],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in arithmetic.opsets]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lambda-embed")


def serialize(model: onnx.ModelProto) -> bytes:
    """The model file's bytes, the same for the same model."""
    return model.SerializeToString(deterministic=True)
