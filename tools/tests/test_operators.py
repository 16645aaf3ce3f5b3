"""Graphs of our own operators compute what the numpy reference computes, and refuse what does not fit."""

from __future__ import annotations

import json
import platform
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.tools import ort_format_model as _  # makes ort_flatbuffers_py importable
from ort_flatbuffers_py.fbs import InferenceSession

from tools import fixture, graph, manifest, operators, ortformat, quantize, reference, rounding, session, weights
from tools.tests import instruction_sets
from tools.weights import Array, Linear

FOLDER = Path("models/fixture")
TEXTS = [entry["ids"] for entry in json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))["texts"]]
BERT = quantize.prepare(fixture.encoder(), TEXTS, fixture.RECIPE)
MAGIC = b"LEPACKED"


def quantized_product(x: Array, linear: Linear) -> Array:
    """What `Product` computes of rows x [n, in], in float64: a scale and a zero point for each row."""
    x = x if linear.input_scale is None else x * linear.input_scale
    codes, scales = rounding.quantize_columns(linear.weight)
    low, high = np.minimum(x.min(axis=1, keepdims=True), 0), np.maximum(x.max(axis=1, keepdims=True), 0)
    scale = np.maximum(high - low, 1e-12) / 255
    zero = np.rint(-low / scale)
    rows = np.clip(np.rint(x / scale) + zero, 0, 255) - zero
    return rows @ codes.astype(np.float64) * scale * scales + linear.bias


def own(pooling: str) -> bytes:
    return graph.serialize(graph.build(BERT, pooling, operators.Packed(fixture.RECIPE)))


class Graphs(unittest.TestCase):
    def test_vectors_are_the_numpy_references_with_rows_quantized(self) -> None:
        block = fixture.RECIPE.word_block
        codes, scales, zeros = (part.astype(np.float64) for part in quantize.quantize_blocks(BERT.words, block))
        words = (codes - zeros.repeat(block, axis=1)) * scales.repeat(block, axis=1)
        double = replace(weights.astype(BERT, np.float64), words=words)
        for pooling in ("cls", "mean"):
            vectors = session.embed(session.load(ortformat.convert(own(pooling))), TEXTS)
            with mock.patch.object(reference, "_linear", quantized_product):
                expected = np.stack([reference.embed(double, ids, pooling) for ids in TEXTS])
            cosines = np.sum(vectors * expected, axis=1)
            # Not equal: a value near the middle of two codes may become either.
            self.assertGreater(cosines.min(), 0.9995)

    def test_a_scale_for_each_row_is_closer_to_float32_than_one_for_the_text(self) -> None:
        exact = np.stack([reference.embed(fixture.encoder(), ids, "cls") for ids in TEXTS])
        least = {}
        for name in (manifest.MODEL, manifest.STANDARD_MODEL):
            least[name] = np.sum(session.embed(session.load(FOLDER / name), TEXTS) * exact, axis=1).min()
        self.assertGreater(least[manifest.MODEL], 0.995)
        self.assertGreater(least[manifest.MODEL], least[manifest.STANDARD_MODEL])

    def test_packed_weights_are_aligned_in_the_file_and_the_format_changes_no_bit(self) -> None:
        converted = ortformat.convert(own("cls"))
        places = [place for place in range(len(converted)) if converted.startswith(MAGIC, place)]
        self.assertEqual(len(places), 4 * fixture.LAYERS)
        self.assertEqual({place % 64 for place in places}, {0})
        as_it_is = onnxruntime.SessionOptions()
        operators.register(as_it_is)
        plain = onnxruntime.InferenceSession(own("cls"), as_it_is)
        expected = session.embed_raw(plain, TEXTS)
        self.assertTrue(np.array_equal(session.embed_raw(session.load(converted), TEXTS), expected))

    def test_every_instruction_set_gives_the_same_vectors(self) -> None:
        for pooling in ("cls", "mean"):
            instruction_sets.assert_equal_vectors(self, ortformat.convert(own(pooling)), TEXTS)

    def test_the_version_is_the_crates(self) -> None:
        packed = operators.pack(BERT.layers[0].output).tobytes()
        self.assertEqual(int.from_bytes(packed[packed.index(MAGIC) + 8 :][:4], "little"), operators.VERSION)

    def test_our_operators_do_all_but_the_word_table_and_the_pooling(self) -> None:
        content = InferenceSession.InferenceSession.GetRootAs((FOLDER / manifest.MODEL).read_bytes(), 0)
        nodes = content.Model().Graph()
        others = {
            node.OpType().decode()
            for node in map(nodes.Nodes, range(nodes.NodesLength()))
            if node.Domain() != operators.DOMAIN.encode()
        }
        self.assertEqual(others, {"GatherBlockQuantized", "Shape", "Slice", "Squeeze"})


class Refusals(unittest.TestCase):
    """A graph that does not fit gets a sentence; below ONNX Runtime a panic would end the process."""

    def run_node(self, operator: str, inputs: dict[str, Array], constants: dict[str, Array], **attributes: object) -> Array:
        values = [helper.make_tensor_value_info(name, _type(value), None) for name, value in inputs.items()]
        node = helper.make_node(operator, [*inputs, *constants], ["y"], domain=operators.DOMAIN, **attributes)
        kind = TensorProto.UINT8 if operator == "Pack" else TensorProto.FLOAT
        result = helper.make_tensor_value_info("y", kind, None)
        initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
        body = helper.make_graph([node], "one", values, [result], initializers)
        opsets = [helper.make_opsetid("", graph.OPSET), helper.make_opsetid(operators.DOMAIN, operators.VERSION)]
        model = helper.make_model(body, opset_imports=opsets, ir_version=graph.IR_VERSION)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        operators.register(options)
        return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, inputs)[0]

    def refuses(self, sentence: str, *arguments: object, **attributes: object) -> None:
        with self.assertRaisesRegex(Exception, sentence):
            self.run_node(*arguments, **attributes)

    def test_instruction_sets(self) -> None:
        absent = "neon" if platform.machine() == "x86_64" else "avx2"
        for name, sentence in (
            ("avx3", f"INSTRUCTION_SET: `avx3` is none of {', '.join(operators.INSTRUCTION_SETS)}"),
            ("", "`` is none of"),
            (absent, f"this machine does not have {absent}"),
        ):
            with self.assertRaisesRegex(Exception, sentence):
                instruction_sets.load(FOLDER / manifest.MODEL, name)

    def test_products(self) -> None:
        linear = Linear(np.ones((8, 5), np.float32), np.zeros(5, np.float32))
        packed = operators.pack(linear)
        x = np.ones((1, 3, 8), np.float32)
        np.testing.assert_allclose(self.run_node("Product", {"x": x}, {"w": packed}), np.full((1, 3, 5), 8), rtol=0.02)
        self.assertEqual(self.run_node("Product", {"x": x[:, :0]}, {"w": packed}).shape, (1, 0, 5))
        self.refuses("rows of 7 channels for a product of 8", "Product", {"x": x[:, :, :7].copy()}, {"w": packed})
        self.refuses("not constant", "Product", {"x": x, "w": packed}, {})
        self.refuses("no packed weights", "Product", {"x": x}, {"w": packed[:63]})
        self.refuses("no packed weights", "Product", {"x": x}, {"w": np.zeros(4096, np.uint8)})
        self.refuses("bytes, not", "Product", {"x": x}, {"w": packed[:-64]})
        newer = packed.copy()
        newer[bytes(packed).index(MAGIC) + len(MAGIC)] = 99
        self.refuses("version 99", "Product", {"x": x}, {"w": newer})

    def test_feed_forward(self) -> None:
        up = operators.pack(Linear(np.ones((8, 6), np.float32), np.zeros(6, np.float32)))
        down = operators.pack(Linear(np.ones((6, 8), np.float32), np.zeros(8, np.float32)))
        x = np.ones((1, 3, 8), np.float32)
        np.testing.assert_allclose(
            self.run_node("FeedForward", {"x": x}, {"u": up, "d": down}), np.full((1, 3, 8), 48), rtol=0.02
        )
        self.refuses("channels follows one", "FeedForward", {"x": x}, {"u": up, "d": up})
        self.refuses("rows of 7 channels", "FeedForward", {"x": x[:, :, :7].copy()}, {"u": up, "d": down})
        self.refuses("no packed weights", "FeedForward", {"x": x}, {"u": up, "d": down[:63]})

    def test_attention(self) -> None:
        qkv = np.zeros((1, 3, 24), np.float32)
        self.assertEqual(self.run_node("Attention", {"qkv": qkv}, {}, heads=2).shape, (1, 3, 8))
        self.assertEqual(self.run_node("Attention", {"qkv": qkv}, {}, heads=2, queries=1).shape, (1, 1, 8))
        for heads in (0, 3, 5, -1, 1 << 62, 6148914691236517206):  # three times the last one is 2, modulo 2 to the 64th
            self.refuses("are not queries, keys and values", "Attention", {"qkv": qkv}, {}, heads=heads)
        self.refuses("are not queries, keys and values", "Attention", {"qkv": qkv[:, :0]}, {}, heads=2)
        wide = np.zeros((1, 1, 3 * 129), np.float32)
        self.refuses("are not queries, keys and values", "Attention", {"qkv": wide}, {}, heads=1)

    def test_norms(self) -> None:
        x, factors = np.ones((1, 3, 8), np.float32), {"gamma": np.ones(8, np.float32), "beta": np.ones(8, np.float32)}
        np.testing.assert_allclose(self.run_node("NormResidual", {"x": x, "r": x}, factors, epsilon=1e-12), x)
        self.refuses("an epsilon", "NormResidual", {"x": x, "r": x}, factors)
        short = {**factors, "beta": np.ones(7, np.float32)}
        for inputs, constants in (
            ({"x": x, "r": x[:, :2].copy()}, factors),
            ({"x": x, "r": x}, short),
            ({"x": x[:, :, :7].copy(), "r": x[:, :, :7].copy()}, factors),
            ({"x": x, "r": x}, {"gamma": np.ones(0, np.float32), "beta": np.ones(0, np.float32)}),
        ):
            self.refuses("a norm of", "NormResidual", inputs, constants, epsilon=1e-12)

    def test_packing(self) -> None:
        codes, numbers = np.ones((8, 5), np.int8), np.ones(5, np.float32)
        ones = np.ones(8, np.float32)
        self.refuses("has 5 scales", "Pack", {"c": codes, "s": numbers[:4], "b": numbers, "i": ones}, {})
        self.refuses("input scales", "Pack", {"c": codes, "s": numbers, "b": numbers, "i": numbers}, {})
        self.refuses("could saturate", "Pack", {"c": codes * 127, "s": numbers, "b": numbers, "i": ones}, {})
        self.refuses("inner rows", "Pack", {"c": codes[:0], "s": numbers, "b": numbers, "i": ones}, {})


def _type(value: Array) -> int:
    return helper.np_dtype_to_tensor_dtype(value.dtype)


if __name__ == "__main__":
    unittest.main()
