"""Reads an output file as its users do: `python -m tests.documents.agree FILE` prints its rows as JSON.

Parquet through pandas, pyarrow, DuckDB and Polars, JSON Lines through pandas, DuckDB and Polars. All of them must read
the same rows, which are printed. From Parquet, they must read vectors as fixed-size lists of float32 without options.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy
import pandas
import polars
import pyarrow
import pyarrow.parquet

COLUMNS = [
    "id",
    "kind",
    "key",
    "chunk",
    "chunks",
    "start",
    "end",
    "tokens",
    "text",
    "page",
    "headings",
    "record",
    "model",
]
Row = dict[str, object]


def plain(value: object) -> object:
    """A reader's value as JSON; its own kind of missing value becomes null."""
    if isinstance(value, numpy.ndarray | list | tuple):
        return [plain(item) for item in value]
    if value is None or value is pandas.NaT or value != value:
        return None
    if isinstance(value, float) and value.is_integer():
        # pandas makes whole numbers floats if some are missing.
        return int(value)
    return value.item() if isinstance(value, numpy.generic) else value


def rows(records: list[Row]) -> list[Row]:
    columns = [column for column in COLUMNS if column in records[0]] if records else []
    vector = {"vector": lambda row: numpy.asarray(row["vector"], dtype="<f4").tolist()}
    return [
        {column: plain(str(row[column]) if column == "id" else row[column]) for column in columns}
        | {name: of(row) for name, of in vector.items()}
        for row in records
    ]


def of_duckdb(query: str, path: Path) -> list[Row]:
    relation = duckdb.sql(query.format(path=path))
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def parquet(path: Path) -> dict[str, list[Row]]:
    table = pyarrow.parquet.read_table(path)
    vector = table.schema.field("vector").type
    assert pyarrow.types.is_fixed_size_list(vector) and vector.value_type == pyarrow.float32(), vector
    frame = polars.read_parquet(path)
    assert frame.schema["vector"] == polars.Array(polars.Float32, vector.list_size), frame.schema
    size = duckdb.sql(
        f"select array_cosine_similarity(vector::float[{vector.list_size}], vector::float[{vector.list_size}]) from '{path}'"
    )
    assert all(abs(row[0] - 1) < 1e-5 for row in size.fetchall())
    return {
        "pyarrow": table.to_pylist(),
        "pandas": pandas.read_parquet(path).to_dict("records"),
        "polars": frame.to_dicts(),
        "duckdb": of_duckdb("select * from '{path}'", path),
    }


def json_lines(path: Path) -> dict[str, list[Row]]:
    return {
        "pandas": pandas.read_json(path, lines=True, dtype={"id": str}, precise_float=True).to_dict("records"),
        "polars": polars.read_ndjson(path, infer_schema_length=None).to_dicts(),
        "duckdb": of_duckdb("select * from read_json('{path}', format='newline_delimited', sample_size=-1)", path),
    }


READERS: dict[str, Callable[[Path], dict[str, list[Row]]]] = {".parquet": parquet, ".jsonl": json_lines}


def main() -> None:
    path = Path(sys.argv[1])
    found = {reader: rows(read) for reader, read in READERS[path.suffix](path).items()}
    (first, agreed), *others = found.items()
    for reader, read in others:
        assert len(read) == len(agreed), f"{reader} finds {len(read)} rows, {first} {len(agreed)}"
        for ours, theirs in zip(agreed, read, strict=True):
            assert ours == theirs, f"{reader} reads {theirs}, {first} {ours}"
    json.dump(agreed, sys.stdout)


if __name__ == "__main__":
    main()
