"""Builds a graph as common exporters write it: ONNX's own operators, batched and masked.

    input_ids, attention_mask, token_type_ids [batch, sequence] int64
        -> last_hidden_state [batch, sequence, hidden] float32, before any pooling

Tests use it for models that users bring, and our own graph's speed is compared with it.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from tools.graph import IR_VERSION, OPSET, Graph
from tools.weights import Array, Bert, Layer, Norm

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


def build(bert: Bert) -> onnx.ModelProto:
    """The whole graph, float32."""
    graph = Graph()
    words = graph.add("Gather", [graph.constant("words", bert.words), "input_ids"], "word_rows")
    # Type 0 is already part of the positions, and no other type is ever sent.
    types = graph.constant("types", np.zeros((2, bert.hidden), np.float32))
    x = graph.add("Add", [words, graph.add("Gather", [types, "token_type_ids"], "type_rows")], "typed")
    length = graph.add("Shape", ["input_ids"], "length", start=1, end=2)
    table = graph.constant("positions", bert.positions)
    rows = graph.add("Slice", [table, graph.integers(0), length, graph.integers(0)], "position_rows")
    x = graph.add("Add", [x, rows], "embeddings")
    x = _norm(graph, x, bert.embedding_norm, "embedding_norm", bert.epsilon)
    mask = _mask(graph)
    for index, layer in enumerate(bert.layers):
        x = _layer(graph, x, mask, layer, str(index), bert)
    graph.add("Identity", [x], "last_hidden_state")
    return _model(graph, bert)


def _mask(graph: Graph) -> str:
    """0 where there is a token, the smallest float where there is padding: [batch, 1, 1, sequence]."""
    wide = graph.add("Unsqueeze", ["attention_mask", graph.integers(1, 2)], "mask.wide")
    kept = graph.add("Cast", [wide], "mask.kept", to=TensorProto.FLOAT)
    padded = graph.add("Sub", [_scalar(graph, "one", 1.0), kept], "mask.padded")
    return graph.add("Mul", [padded, _scalar(graph, "lowest", float(np.finfo(np.float32).min))], "mask")


def _layer(graph: Graph, x: str, mask: str, layer: Layer, name: str, bert: Bert) -> str:
    hidden, heads = bert.hidden, bert.heads
    parts = []
    for column, part in enumerate(("query", "key", "value")):
        own = slice(column * hidden, (column + 1) * hidden)
        flat = _linear(graph, x, layer.qkv.weight[:, own], layer.qkv.bias[own], f"{name}.{part}")
        split = graph.add("Reshape", [flat, graph.integers(0, 0, heads, -1)], f"{name}.{part}.split")
        order = [0, 2, 3, 1] if part == "key" else [0, 2, 1, 3]
        parts.append(graph.add("Transpose", [split], f"{name}.{part}.heads", perm=order))
    query, key, value = parts
    scores = graph.add("MatMul", [query, key], f"{name}.products")
    width = _scalar(graph, "root_of_width", float(np.sqrt(hidden / heads)))
    scores = graph.add("Div", [scores, width], f"{name}.scores")
    scores = graph.add("Add", [scores, mask], f"{name}.masked")
    weights = graph.add("Softmax", [scores], f"{name}.weights", axis=-1)
    context = graph.add("MatMul", [weights, value], f"{name}.context")
    context = graph.add("Transpose", [context], f"{name}.context.rows", perm=[0, 2, 1, 3])
    context = graph.add("Reshape", [context, graph.integers(0, 0, hidden)], f"{name}.context.flat")

    attended = _linear(graph, context, layer.output.weight, layer.output.bias, f"{name}.output")
    x = graph.add("Add", [attended, x], f"{name}.attention_skip")
    x = _norm(graph, x, layer.attention_norm, f"{name}.attention_norm", bert.epsilon)
    inner = _linear(graph, x, layer.intermediate.weight, layer.intermediate.bias, f"{name}.intermediate")
    inner = _gelu(graph, inner, f"{name}.gelu")
    down = _linear(graph, inner, layer.down.weight, layer.down.bias, f"{name}.down")
    x = graph.add("Add", [down, x], f"{name}.output_skip")
    return _norm(graph, x, layer.output_norm, f"{name}.output_norm", bert.epsilon)


def _linear(graph: Graph, x: str, weight: Array, bias: Array, name: str) -> str:
    product = graph.add("MatMul", [x, graph.constant(f"{name}.weight", weight)], f"{name}.product")
    return graph.add("Add", [graph.constant(f"{name}.bias", bias), product], name)


def _norm(graph: Graph, x: str, norm: Norm, name: str, epsilon: float) -> str:
    mean = graph.add("ReduceMean", [x], f"{name}.mean", axes=[-1])
    centred = graph.add("Sub", [x, mean], f"{name}.centred")
    square = graph.add("Pow", [centred, _scalar(graph, "two", 2.0)], f"{name}.square")
    variance = graph.add("ReduceMean", [square], f"{name}.variance", axes=[-1])
    variance = graph.add("Add", [variance, _scalar(graph, "epsilon", epsilon)], f"{name}.safe")
    deviation = graph.add("Sqrt", [variance], f"{name}.deviation")
    scaled = graph.add("Div", [centred, deviation], f"{name}.scaled")
    scaled = graph.add("Mul", [scaled, graph.constant(f"{name}.gamma", norm.gamma)], f"{name}.gained")
    return graph.add("Add", [scaled, graph.constant(f"{name}.beta", norm.beta)], name)


def _gelu(graph: Graph, x: str, name: str) -> str:
    root = _scalar(graph, "root_of_two", float(np.sqrt(2)))
    error = graph.add("Erf", [graph.add("Div", [x, root], f"{name}.divided")], f"{name}.erf")
    gate = graph.add("Add", [error, _scalar(graph, "one", 1.0)], f"{name}.gate")
    product = graph.add("Mul", [x, gate], f"{name}.product")
    return graph.add("Mul", [product, _scalar(graph, "half", 0.5)], name)


def _scalar(graph: Graph, name: str, value: float) -> str:
    return graph.constant(name, np.array(value, np.float32))


def _model(graph: Graph, bert: Bert) -> onnx.ModelProto:
    axes = ["batch", "sequence"]
    body = helper.make_graph(
        graph.nodes,
        "stock",
        [helper.make_tensor_value_info(name, TensorProto.INT64, axes) for name in INPUTS],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*axes, bert.hidden])],
        list(graph.constants.values()),
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="lambda-embed")
