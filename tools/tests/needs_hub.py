"""Tests that need the model hub; `make test-hub` runs them, `make test` does not.

The hub's safetensors file and its ONNX export hold the same weights, so model.ort is the same from either.
"""

from __future__ import annotations

import json
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

from tools import fetch, weights
from tools.members import Member
from tools.sources import BGE_SMALL, CONFIG, WEIGHTS, HubFiles
from tools.tests.test_export_weights import assert_same

CHECKPOINT = (
    Member(CONFIG, "094f8e891b932f2000c92cfc663bac4c62069f5d8af5b5278c4306aef3084750", CONFIG),
    Member(WEIGHTS, "3c9f31665447c8911517620762200d2245a2518d6e7208acc78cd9db317e21ad", WEIGHTS),
)


class Checkpoint(unittest.TestCase):
    def test_the_checkpoint_is_the_export_and_the_pinned_config_is_its_own(self) -> None:
        hub = BGE_SMALL.places[0]
        assert isinstance(hub, HubFiles)
        checkpoint = replace(BGE_SMALL, id="checkpoint", places=(replace(hub, members=CHECKPOINT),), config=None)
        with tempfile.TemporaryDirectory() as cache:
            folder = fetch.fetch(checkpoint, Path(cache))
            assert_same(weights.load(checkpoint, folder), weights.load(BGE_SMALL, fetch.fetch(BGE_SMALL)))
            stated = json.loads((folder / CONFIG).read_text())
        assert BGE_SMALL.config is not None
        self.assertEqual(dict(BGE_SMALL.config), {key: stated[key] for key in BGE_SMALL.config})


if __name__ == "__main__":
    unittest.main()
