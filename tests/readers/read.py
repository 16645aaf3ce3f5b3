"""Reads output files as ClickHouse or Spark does: `python -m tests.readers.read clickhouse|spark FOLDER`.

Prints one line of JSON for each row of each `*.parquet` in the folder: its file, and its columns as JSON Lines has them.
Neither reader is given a schema or an option; both must find the vectors to be arrays of float32.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

Rows = Iterator[dict[str, Any]]
# Columns that hold JSON as text.
OBJECTS = ("fields", "metadata")


def clickhouse(path: Path) -> Rows:
    import chdb

    asked = f"file('{path}')"
    described = chdb.query(f"describe {asked}", "JSONEachRow").bytes().decode().splitlines()
    types = {column["name"]: column["type"] for column in map(json.loads, described)}
    assert types["vector"] == "Array(Float32)", types
    distances = f"select max(abs(cosineDistance(vector, vector))) as largest from {asked}"
    assert json.loads(chdb.query(distances, "JSONEachRow").bytes())["largest"] < 1e-5
    unquoted = "settings output_format_json_quote_64bit_integers = 0, date_time_output_format = 'iso'"
    for line in chdb.query(f"select * from {asked} {unquoted}", "JSONEachRow").bytes().decode().splitlines():
        yield json.loads(line)


def spark(path: Path) -> Rows:
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import struct, to_json
    from pyspark.sql.types import ArrayType, FloatType

    session = (
        SparkSession.builder.master("local[1]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    frame = session.read.parquet(str(path))
    vector = frame.schema["vector"].dataType
    assert isinstance(vector, ArrayType) and isinstance(vector.elementType, FloatType), vector
    # Spark leaves nulls out of JSON.
    for (line,) in frame.select(to_json(struct("*"))).collect():
        yield {name: None for name in frame.columns} | json.loads(line)


READERS: dict[str, Callable[[Path], Rows]] = {"clickhouse": clickhouse, "spark": spark}


def as_in_json_lines(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON Lines has it: objects are no text, and times have no fractions of a second."""
    found = row | {name: json.loads(row[name]) for name in OBJECTS}
    found["last_modified"] = datetime.fromisoformat(row["last_modified"]).strftime("%Y-%m-%dT%H:%M:%SZ")
    return found


def main() -> int:
    reader, folder = READERS[sys.argv[1]], Path(sys.argv[2])
    for path in sorted(folder.glob("*.parquet")):
        for row in reader(path):
            print(json.dumps({"file": path.name, **as_in_json_lines(row)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
