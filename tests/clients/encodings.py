"""OpenAI's encodings, which tiktoken fetches from the network: LlamaIndex's package holds the same files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

# Found, not imported, which takes seconds.
FOLDER = Path(find_spec("llama_index.core").origin).parent / "_static/tiktoken_cache"
VARIABLES = {"TIKTOKEN_CACHE_DIR": str(FOLDER)}
