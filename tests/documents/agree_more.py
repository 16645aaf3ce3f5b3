"""Reads a Parquet file through ClickHouse and Spark: `python -m tests.documents.agree_more FILE` prints its rows as JSON.

Both must find the rows that `agree` finds. They are apart from it because they take half a gigabyte of packages, and
Spark needs a JVM: `make test-readers`, in the long tests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import chdb
from pyspark.sql import SparkSession

from tests.documents.agree import Row, parquet, rows


def of_clickhouse(path: Path) -> list[Row]:
    answer = chdb.query(f"select * from file('{path}', Parquet) order by kind, chunk", "JSONEachRow")
    return [json.loads(line) for line in str(answer).splitlines()]


def of_spark(path: Path) -> list[Row]:
    builder = SparkSession.builder.master("local[1]").appName("readers")
    settings = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    try:
        return [row.asDict(recursive=True) for row in session.read.parquet(str(path)).collect()]
    finally:
        session.stop()


def main() -> None:
    path = Path(sys.argv[1]).resolve()
    order = lambda row: (str(row["kind"]), row["chunk"] or 0)  # noqa: E731
    agreed = sorted(rows(parquet(path)["pyarrow"]), key=order)
    for reader, read in (("ClickHouse", of_clickhouse(path)), ("Spark", of_spark(path))):
        found = sorted(rows(read), key=order)
        assert len(found) == len(agreed), f"{reader} finds {len(found)} rows, pyarrow {len(agreed)}"
        for ours, theirs in zip(agreed, found, strict=True):
            assert ours == theirs, f"{reader} reads {theirs}, pyarrow {ours}"
    json.dump(agreed, sys.stdout)


if __name__ == "__main__":
    main()
