"""Reads vectors as their users do: `python -m tests.documents.read_back FOLDER`.

JSON Lines with pandas, Parquet with DuckDB and with pandas. Prints one line of JSON for each record, in the client's
order, for the Rust tests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import pandas

FIELDS = ["id", "key", "chunk", "chunks", "start", "end", "tokens", "text", "record", "vector"]


def clean(value: object) -> object:
    """A client's value as JSON; its missing values become null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [float(item) for item in value]
    if value is None or value is pandas.NaT or value != value:
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def tell(file: Path, client: str, columns: list[str], rows: list[tuple]) -> None:
    for row in rows:
        record = {name: clean(value) for name, value in zip(columns, row) if name in FIELDS}
        print(json.dumps({"file": file.name, "client": client, **record}))


def main() -> int:
    folder = Path(sys.argv[1])
    for file in sorted(folder.glob("*.jsonl")):
        frame = pandas.read_json(file, lines=True, dtype={"text": str, "id": str, "key": str}, convert_dates=False)
        tell(file, "pandas", list(frame.columns), list(frame.itertuples(index=False, name=None)))
    for file in sorted(folder.glob("*.parquet")):
        frame = pandas.read_parquet(file)
        tell(file, "pandas", list(frame.columns), list(frame.itertuples(index=False, name=None)))
        found = duckdb.sql("select * from read_parquet($1)", params=[str(file)])
        tell(file, "duckdb", found.columns, found.fetchall())
    return 0


if __name__ == "__main__":
    sys.exit(main())
