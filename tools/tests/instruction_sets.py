"""A model's vectors on every instruction set that this machine has."""

from __future__ import annotations

import os
import unittest
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import onnxruntime

from tools import operators, session


def load(model: Path | bytes, name: str) -> onnxruntime.InferenceSession:
    """A session whose operators have the instruction set `name`."""
    with mock.patch.dict(os.environ, {operators.INSTRUCTION_SET: name}):
        return session.load(model)


def assert_equal_vectors(test: unittest.TestCase, model: Path | bytes, texts: Sequence[Sequence[int]]) -> None:
    """Fails unless the vectors of tokenised texts are the same to the bit on all sets; prints the sets that are missing."""
    bits = {}
    for name in operators.INSTRUCTION_SETS:
        try:
            loaded = load(model, name)
        except Exception as error:
            if "this machine does not have" not in str(error):
                raise
            print(f"this machine lacks {name}: not tested")
            continue
        bits[name] = session.embed_raw(loaded, texts).view(np.uint32)
    specification = bits.pop("scalar")
    test.assertTrue(bits, "this machine has no instruction set beside the scalar one")
    for name, found in bits.items():
        different = np.flatnonzero((found != specification).any(axis=1)).tolist()
        test.assertEqual(different, [], f"{name} gives other vectors than scalar for these texts")
