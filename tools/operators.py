"""Our own operators in a graph: int8 products with packed weights, attention, norms (crates/operators).

    quantize.Int8 (ONNX Runtime's operators)  ->  Packed (ours)

The operators are a library, which `make operators` builds and sessions load. It also packs the weights, so their packed
form is known to the crate alone.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from tools import graph, manifest
from tools.quantize import Int8, Recipe
from tools.rounding import quantize_columns
from tools.weights import Array, Linear, Norm

LIBRARY = Path("target/operators/release/examples/liboperators_library.so")
DOMAIN = "lambda_embed"
VERSION = manifest.OPERATORS
# The variable that names the instruction set of sessions that are made from then on, and its values, the best last.
INSTRUCTION_SET = "LAMBDA_EMBED_INSTRUCTION_SET"
INSTRUCTION_SETS = ("scalar", "neon", "avx2", "avx_vnni", "avx512_vnni")
SLACK = 64  # bytes that packed weights are longer, so that they can be aligned


class Packed(Int8):
    """Products, attention and norms by our own operators; the word table as in the recipe."""

    opsets = (*Int8.opsets, (DOMAIN, VERSION))

    def product(self, into: graph.Graph, x: str, linear: Linear, name: str) -> str:
        into.add("Product", [x, into.constant(f"{name}.weights", pack(linear))], name, DOMAIN)
        return into.state_shape(name, 1, into.rows_of(x), linear.weight.shape[1])

    def feed_forward(self, into: graph.Graph, x: str, up: Linear, down: Linear, name: str) -> str:
        parts = {f"{name}.intermediate.weights": up, f"{name}.down.weights": down}
        weights = [into.constant(part, pack(linear)) for part, linear in parts.items()]
        into.add("FeedForward", [x, *weights], f"{name}.feed_forward", DOMAIN)
        return into.state_shape(f"{name}.feed_forward", 1, into.rows_of(x), down.weight.shape[1])

    def attention(self, into: graph.Graph, x: str, first: str | None, qkv: Linear, name: str, heads: int) -> str:
        queries = 1 if first else 0
        rows = self.product(into, x, qkv, f"{name}.qkv")
        into.add("Attention", [rows], f"{name}.context", DOMAIN, heads=heads, queries=queries)
        return into.state_shape(f"{name}.context", 1, queries or graph.TOKENS, qkv.weight.shape[0])

    def norm_residual(
        self, into: graph.Graph, x: str, residual: str, norm: Norm, name: str, epsilon: float
    ) -> str:
        into.add("NormResidual", [x, residual, *graph.factors(into, norm, name)], name, DOMAIN, epsilon=epsilon)
        return into.state_shape(name, 1, into.rows_of(x), len(norm.gamma))


def register(options: onnxruntime.SessionOptions) -> None:
    """Lets a session with these options run graphs with our operators."""
    if not LIBRARY.exists():
        raise FileNotFoundError(f"{LIBRARY} is not there; `make operators` builds it")
    options.register_custom_ops_library(str(LIBRARY))


def pack(linear: Linear) -> Array:
    """A product's weights as the operator takes them: uint8 [bytes]."""
    codes, scales = quantize_columns(linear.weight)
    input_scale = np.ones(len(codes), np.float32) if linear.input_scale is None else linear.input_scale
    return _packer().run(None, {"codes": codes, "scales": scales, "bias": linear.bias, "input_scale": input_scale})[0]


@cache
def _packer() -> onnxruntime.InferenceSession:
    """A graph of the one operator that packs."""
    inputs = [helper.make_tensor_value_info("codes", TensorProto.INT8, ["in", "out"])]
    inputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("scales", "bias", "input_scale")]
    packed = helper.make_tensor_value_info("packed", TensorProto.UINT8, [None])
    node = helper.make_node("Pack", [value.name for value in inputs], ["packed"], domain=DOMAIN)
    body = helper.make_graph([node], "pack", inputs, [packed])
    opsets = [helper.make_opsetid("", graph.OPSET), helper.make_opsetid(DOMAIN, VERSION)]
    model = helper.make_model(body, opset_imports=opsets, ir_version=graph.IR_VERSION)
    options = onnxruntime.SessionOptions()
    register(options)
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
