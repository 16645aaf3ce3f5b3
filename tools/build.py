"""Builds a model folder in one command: `python -m tools.build bge-small-en-v1.5`.

    fetch -> export to float32 -> quantize to int8 -> ORT format -> verify -> models/<id>/

The folder is made beside its destination and renamed once it is verified, so an interrupted build leaves nothing that
looks like a model. An existing folder with the same revision and recipe and with right hashes is kept, which takes a
fraction of a second.

Exit status: 69 if no place that has the model answered, 1 if anything else failed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import manifest
from tools.fetch import CACHE, EX_UNAVAILABLE, SourceUnavailable, fetch
from tools.integrity import IntegrityError, alone, write_atomically
from tools.manifest import MODEL, STANDARD_MODEL, TOKENIZER, Card
from tools.sources import SOURCES, Source

# Stands for everything that decides the bytes of model.ort: exporter, quantizer, their settings, the calibration texts
# and the operators. Raise its first part whenever a change there changes the bytes.
RECIPE = f"6.{manifest.OPERATORS}"


class UnderTheBar(Exception):
    """The quantized model is too far from the float32 one; the report is on the screen."""


def build(source: Source, models: Path, cache: Path, fp32: Path, onnx: Path | None = None, standard: bool = False) -> None:
    """Builds `models/<id>`, with the standard graph if it is asked for, replacing what is there.

    Writes the float32 graph to `fp32` and the standard int8 one, as ONNX, to `onnx`.

    Raises SourceUnavailable, IntegrityError, WeightsError or UnderTheBar.
    """
    with _step(f"fetch {source.name} {source.revision}"):
        files = fetch(source, cache)

    # Imported here, because loading them takes a second, which an up-to-date folder does not need.
    import numpy as np

    from tools import calibration, graph, operators, ortformat, quantize, reference, tokenizer, verify, weights

    with _scratch(models / f".building-{source.id}") as scratch:
        draft = scratch / source.id
        draft.mkdir()
        shutil.copyfile(files / TOKENIZER, draft / TOKENIZER)
        encode = tokenizer.load(draft / TOKENIZER, source.max_tokens)

        with _step("export to a float32 graph"):
            bert = weights.load(source, files)
            write_atomically(fp32, graph.serialize(graph.build(bert, source.pooling, graph.Float32())))
            _size(fp32)
        recipe = quantize.Recipe(RECIPE)
        with _step(f"quantize ({recipe.description()})"):
            texts = [encode(text) for text in calibration.texts()]
            prepared = quantize.prepare(bert, texts, recipe)
            own = graph.serialize(graph.build(prepared, source.pooling, operators.Packed(recipe)))
            (draft / MODEL).write_bytes(ortformat.convert(own))
            if onnx or standard:
                plain = graph.serialize(graph.build(prepared, source.pooling, quantize.Int8(recipe)))
            if standard:
                (draft / STANDARD_MODEL).write_bytes(ortformat.convert(plain))
            if onnx:
                write_atomically(onnx, plain)
            _size(draft / MODEL)
        probe = reference.embed(weights.astype(bert, np.float64), encode(manifest.PROBE), source.pooling)
        manifest.write(draft, _card(source, probe, recipe.description(), operators.VERSION))
        with _step("verify"):
            if not verify.report(verify.checks(draft, fp32, source.hello_world, verify.Bars())):
                raise UnderTheBar(f"{source.id}: the quantized model failed its checks")
        _put(draft, models / source.id)
    print(f"{models / source.id} is ready", flush=True)


def _card(source: Source, probe: Sequence[float], quantization: str, operators: int) -> Card:
    return Card(
        id=source.id,
        name=source.name,
        revision=source.revision,
        license=source.license,
        dimensions=len(probe),
        max_tokens=source.max_tokens,
        pooling=source.pooling,
        query_prefix=source.query_prefix,
        passage_prefix=source.passage_prefix,
        quantization=quantization,
        recipe=RECIPE,
        probe=probe,
        operators=operators,
    )


def _put(draft: Path, folder: Path) -> None:
    """Renames `draft` to `folder`; an old folder is first moved into the scratch folder, and deleted with it."""
    if folder.exists():
        folder.rename(draft.with_name("replaced"))
    draft.rename(folder)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """An empty folder, deleted afterwards. Its name is fixed, so that the next build deletes what a killed one left."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _step(title: str) -> Iterator[None]:
    print(f"- {title}", flush=True)
    started = time.monotonic()
    yield
    print(f"  {time.monotonic() - started:.1f} s", flush=True)


def _size(path: Path) -> None:
    print(f"  {path.name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.build", description=__doc__.split("\n")[0])
    parser.add_argument("id", choices=sorted(SOURCES))
    parser.add_argument("--out", type=Path, default=Path("models"), help="default: %(default)s")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: %(default)s")
    parser.add_argument("--keep-fp32", type=Path, help="where to keep the float32 graph, for tests and benchmarks")
    parser.add_argument("--keep-onnx", type=Path, help="where to keep the standard int8 graph as ONNX")
    parser.add_argument("--standard", action="store_true", help="add the graph in ONNX Runtime's operators alone")
    options = parser.parse_args()

    source = SOURCES[options.id]
    try:
        with alone(options.cache / f"{source.id}.lock"), tempfile.TemporaryDirectory() as scratch:
            fp32 = options.keep_fp32 or Path(scratch) / f"{source.id}.fp32.onnx"
            kept = [path for path in (options.keep_fp32, options.keep_onnx) if path]
            is_current = manifest.is_current(options.out / source.id, source.revision, RECIPE, options.standard)
            if is_current and all(path.exists() for path in kept):
                print(f"{options.out / source.id} is up to date")
            else:
                build(source, options.out, options.cache, fp32, options.keep_onnx, options.standard)
    except SourceUnavailable as error:
        print(error, file=sys.stderr)
        return EX_UNAVAILABLE
    except (IntegrityError, UnderTheBar) as error:
        print(f"tools.build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
