"""Every graph computes what the plain numpy reference computes; the fixture is the model."""

from __future__ import annotations

import json
import math
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.tools import ort_format_model as _  # makes ort_flatbuffers_py importable
from ort_flatbuffers_py.fbs import InferenceSession, TensorTypeAndShape

from tools import fixture, graph, migrate, ortformat, quantize, reference, rounding, session, split, stock, weights
from tools.erf import erf

GOLDEN = json.loads(Path("models/fixture/golden.json").read_text(encoding="utf-8"))["texts"]
TEXTS = [entry["ids"] for entry in GOLDEN]
EXACT = 1e-5
BERT = fixture.encoder()


def _dimensions(value: Any) -> Iterator[Any]:
    """The dimensions that a value of the ORT format states; an absent optional one has no type."""
    if value.Type() is None:
        return
    kind, union = TensorTypeAndShape.TensorTypeAndShape(), value.Type().Value()
    kind.Init(union.Bytes, union.Pos)
    yield from (kind.Shape().Dim(index).Value() for index in range(kind.Shape().DimLength()))


class Reference(unittest.TestCase):
    def test_erf_is_exact_to_double_precision(self) -> None:
        points = np.concatenate([np.linspace(-9, 9, 20_001), [0.0, 1.0, -1.0, 1e-300, np.inf]])
        expected = [math.erf(point) for point in points]
        np.testing.assert_allclose(erf(points), expected, rtol=0, atol=1e-15)

    def test_goldens_equal_the_present_reference(self) -> None:
        bert = fixture.encoder()
        for entry in GOLDEN:
            for pooling in ("cls", "mean"):
                np.testing.assert_allclose(reference.embed(bert, entry["ids"], pooling), entry[pooling], atol=1e-6)


class Float32Graphs(unittest.TestCase):
    def test_the_fused_graph_is_exact_under_both_poolings(self) -> None:
        bert = fixture.encoder()
        for pooling in ("cls", "mean"):
            built = graph.serialize(graph.build(bert, pooling, graph.Float32()))
            vectors = session.embed(session.load(built), TEXTS)
            expected = [reference.embed(bert, ids, pooling) for ids in TEXTS]
            np.testing.assert_allclose(vectors, expected, rtol=0, atol=EXACT)

    def test_our_graph_is_the_plain_one_with_its_last_layer_cut_to_one_row(self) -> None:
        bert = fixture.encoder()
        plain = onnxruntime.InferenceSession(graph.serialize(stock.build(bert)))
        for pooling in ("cls", "mean"):
            ours = session.load(graph.serialize(graph.build(bert, pooling, graph.Float32())))
            for ids in TEXTS:
                rows = np.array([ids])
                feed = dict(zip(stock.INPUTS, (rows, np.ones_like(rows), np.zeros_like(rows)), strict=True))
                states = plain.run(["last_hidden_state"], feed)[0][0]
                expected = states[0] if pooling == "cls" else states.mean(axis=0)
                np.testing.assert_allclose(session.embed_raw(ours, [ids])[0], expected, rtol=0, atol=EXACT)

    def test_the_ort_format_changes_no_bit_and_is_the_same_each_time(self) -> None:
        plain = graph.serialize(graph.build(fixture.encoder(), "mean", graph.Float32()))
        converted = ortformat.convert(plain)
        self.assertEqual(converted, ortformat.convert(plain))
        as_it_is = onnxruntime.SessionOptions()
        as_it_is.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        expected = session.embed_raw(onnxruntime.InferenceSession(plain, as_it_is), TEXTS)
        self.assertTrue(np.array_equal(session.embed_raw(session.load(converted), TEXTS), expected))

    def test_every_dimension_is_known_but_for_the_number_of_tokens(self) -> None:
        """With unknown dimensions a session takes much longer to build."""
        for pooling in ("mean", "cls"):
            built = graph.serialize(graph.build(fixture.encoder(), pooling, graph.Float32()))
            content = InferenceSession.InferenceSession.GetRootAs(ortformat.convert(built), 0).Model().Graph()
            for value in map(content.NodeArgs, range(content.NodeArgsLength())):
                for dimension in _dimensions(value):
                    with self.subTest(pooling=pooling, value=value.Name().decode()):
                        self.assertTrue(dimension.DimValue() or dimension.DimParam() == graph.TOKENS.encode())

    def test_the_graph_does_not_normalise_vectors(self) -> None:
        built = graph.serialize(graph.build(fixture.encoder(), "cls", graph.Float32()))
        lengths = np.linalg.norm(session.embed_raw(session.load(built), TEXTS), axis=1)
        np.testing.assert_allclose(lengths, [entry["cls_length"] for entry in GOLDEN], rtol=1e-5)
        self.assertGreater(lengths.min(), 2)

    def test_the_stock_graph_is_exact_and_blind_to_padding(self) -> None:
        bert = fixture.encoder()
        runner = onnxruntime.InferenceSession(graph.serialize(stock.build(bert)))
        for ids in TEXTS:
            padded = np.array([ids + [0] * 5])
            mask = np.array([[1] * len(ids) + [0] * 5])
            feed = {"input_ids": padded, "attention_mask": mask, "token_type_ids": np.zeros_like(padded)}
            pooled = runner.run(["last_hidden_state"], feed)[0][0, : len(ids)].mean(axis=0)
            expected = reference.embed(bert, ids, "mean")
            np.testing.assert_allclose(pooled / np.linalg.norm(pooled), expected, rtol=0, atol=EXACT)


class Migration(unittest.TestCase):
    def test_a_migrated_encoder_is_the_same_encoder(self) -> None:
        bert = fixture.encoder()
        migrated = migrate.migrate(bert, migrate.calibrate(bert, TEXTS), dict.fromkeys(quantize.PARTS, 0.8))
        for ids in TEXTS:
            expected = reference.embed(bert, ids, "mean")
            np.testing.assert_allclose(reference.embed(migrated, ids, "mean"), expected, rtol=0, atol=EXACT)

    def test_a_migrated_graph_is_the_same_graph(self) -> None:
        bert = fixture.encoder()
        migrated = migrate.migrate(bert, migrate.calibrate(bert, TEXTS), dict.fromkeys(quantize.PARTS, 0.8))
        built = graph.serialize(graph.build(migrated, "cls", graph.Float32()))
        expected = [reference.embed(bert, ids, "cls") for ids in TEXTS]
        np.testing.assert_allclose(session.embed(session.load(built), TEXTS), expected, rtol=0, atol=EXACT)


    def test_split_channels_add_up_to_the_same_encoder(self) -> None:
        bert = fixture.encoder()
        ranges = migrate.calibrate(bert, TEXTS)
        before = migrate.migrate(bert, ranges, quantize.STRENGTHS)
        after = split.split(before, ranges, 16)
        self.assertEqual(after.layers[0].down.weight.shape, (fixture.INNER + 16, fixture.HIDDEN))
        for index in range(fixture.LAYERS):
            large, small = (
                (migrate.calibrate(whole, TEXTS)[f"{index}.down"].size() * whole.layers[index].down.input_scale).max()
                for whole in (before, after)
            )
            self.assertLess(small, large)
        for ids in TEXTS:
            expected = reference.embed(bert, ids, "mean")
            np.testing.assert_allclose(reference.embed(after, ids, "mean"), expected, rtol=0, atol=EXACT)


class Quantization(unittest.TestCase):
    def test_corrected_biases_keep_each_products_mean(self) -> None:
        bert = fixture.encoder()
        ranges = migrate.calibrate(bert, TEXTS)
        corrected = quantize.correct(bert, ranges)
        for index, (layer, before) in enumerate(zip(corrected.layers, bert.layers, strict=True)):
            for part in quantize.PARTS:
                now, exact, mean = getattr(layer, part), getattr(before, part), ranges[f"{index}.{part}"].mean
                codes, scales = rounding.quantize_columns(exact.weight)
                expected = mean @ exact.weight + exact.bias
                np.testing.assert_allclose(mean @ (codes * scales) + now.bias, expected, rtol=0, atol=EXACT)

    def test_no_two_neighbouring_codes_saturate_sixteen_bits(self) -> None:
        extremes = np.array([[1, 1, -1, 1], [1, -1, -1, 0], [1, 0.6, -0.6, 1], [0.6, 1, -0.6, 0.01]], np.float32)
        for weight in [extremes, *(getattr(layer, part).weight for layer in BERT.layers for part in quantize.PARTS)]:
            codes = rounding.quantize_columns(weight)[0].astype(int)
            self.assertLessEqual(255 * np.abs(codes[0::2] + codes[1::2]).max(), 2**15 - 1)
            self.assertLessEqual(np.abs(codes).max(), rounding.LARGEST)

    def test_rounding_is_closer_than_seven_bits(self) -> None:
        weight = BERT.layers[0].qkv.weight
        codes, scales = rounding.quantize_columns(weight)
        seven = np.abs(weight).max(axis=0) / 63
        error, of_seven = (np.square(weight - back).sum() for back in (codes * scales, np.rint(weight / seven) * seven))
        self.assertLess(error, of_seven)

    def test_a_constant_channel_is_no_division_by_zero(self) -> None:
        codes, scales = rounding.quantize_columns(np.zeros((4, 2), np.float32))
        self.assertTrue(np.isfinite(scales).all())
        self.assertFalse(codes.any())

    def test_the_checked_in_int8_model_is_near_the_reference(self) -> None:
        vectors = session.embed(session.load(Path("models/fixture/model.ort")), TEXTS)
        cosines = np.sum(vectors * np.array([entry["cls"] for entry in GOLDEN]), axis=1)
        self.assertGreater(cosines.min(), 0.99)

    def test_a_text_has_one_vector_to_the_bit(self) -> None:
        runner = session.load(Path("models/fixture/model.ort"))
        first = session.embed(runner, TEXTS)
        self.assertTrue(np.array_equal(first[::-1], session.embed(runner, TEXTS[::-1])))


class Weights(unittest.TestCase):
    def test_a_prefix_before_every_name_is_understood(self) -> None:
        config, tensors = fixture.checkpoint()
        plain = weights.from_tensors(config, tensors)
        prefixed = weights.from_tensors(config, {f"bert.{name}": tensor for name, tensor in tensors.items()})
        self.assertTrue(np.array_equal(plain.layers[1].qkv.weight, prefixed.layers[1].qkv.weight))

    def test_what_does_not_fit_is_named(self) -> None:
        config, tensors = fixture.checkpoint()
        with self.assertRaisesRegex(weights.WeightsError, "hidden_act is 'relu'"):
            weights.from_tensors({**config, "hidden_act": "relu"}, tensors)
        with self.assertRaisesRegex(weights.WeightsError, "word_embeddings.weight has shape"):
            weights.from_tensors({**config, "vocab_size": 7}, tensors)
        del tensors["encoder.layer.1.output.dense.bias"]
        with self.assertRaisesRegex(weights.WeightsError, "encoder.layer.1.output.dense.bias is missing"):
            weights.from_tensors(config, tensors)


if __name__ == "__main__":
    unittest.main()
