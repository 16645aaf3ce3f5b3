"""Tables and records as programs write them, with what each program is known for.

pandas, Polars, DuckDB and Python's json write theirs themselves. Excel's, Spark's and PostgreSQL's files are written
here as these programs write them: a bar of `sep=;` and UTF-16 with tabs, a backslash before a quote, bare `t` and nothing
for NULL.
"""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path
from typing import Protocol

import duckdb
import pandas
import polars


class Made(Protocol):
    def good(self, name: str, content: bytes, format: str, contains: list[str], **expected: object) -> None: ...


LAMPS = {
    "id": [1, 2, 3],
    "lamp": ["North, the \"old\" one", "Süd", "two\nlines"],
    "built": [1854, None, 1921],
    "lit": [True, False, True],
}
ROWS = [
    'id: 1\nlamp: North, the "old" one\nbuilt: 1854\nlit: true',
    "id: 2\nlamp: Süd\nbuilt: \nlit: false",
    "id: 3\nlamp: two\nlines\nbuilt: 1921\nlit: true",
]


def rows_of(replaced: dict[str, str]) -> list[str]:
    """The rows with some words as another program writes them."""
    rows = []
    for row in ROWS:
        for ours, theirs in replaced.items():
            row = row.replace(ours, theirs)
        rows.append(row)
    return rows


def libraries(made: Made) -> None:
    frame = pandas.DataFrame(LAMPS)
    in_pandas = {"1854": "1854.0", "1921": "1921.0", "true": "True", "false": "False"}
    made.good("pandas.csv", frame.to_csv(index=False).encode(), "csv", [], texts=rows_of(in_pandas))
    indexed = [f"{number}\n{row}" for number, row in enumerate(rows_of(in_pandas))]
    made.good("pandas-index.csv", frame.to_csv().encode(), "csv", [], texts=indexed)
    tabbed = frame.to_csv(index=False, sep="\t")
    made.good(
        "pandas-utf-16.csv", tabbed.encode("utf-16"), "csv", [], texts=rows_of(in_pandas), charset="UTF-16LE"
    )
    escaped = frame.to_csv(index=False, doublequote=False, escapechar="\\", quoting=1).encode()
    made.good("pandas-escaped.csv", escaped, "csv", [], texts=rows_of(in_pandas))
    built = {"built: \n": "", "1854": "1854.0", "1921": "1921.0"}
    for name, lines, format in [("pandas.json", False, "json"), ("pandas.jsonl", True, "json_lines")]:
        content = frame.to_json(orient="records", lines=lines).encode()
        made.good(name, content, format, [], texts=rows_of(built), fields={"id": 2, "built": None})
    made.good("polars.csv", polars.DataFrame(LAMPS).write_csv().encode(), "csv", [], texts=ROWS)
    lines = io.BytesIO()
    polars.DataFrame(LAMPS).write_ndjson(lines)
    made.good("polars.ndjson", lines.getvalue(), "json_lines", [], texts=rows_of({"built: \n": ""}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "duckdb.csv"
        lamps = polars.DataFrame(LAMPS)  # noqa: F841 (DuckDB finds it by its name)
        duckdb.sql("select * from lamps").write_csv(str(path))
        made.good("duckdb.csv", path.read_bytes(), "csv", [], texts=ROWS)
    odd = [{"text": "first", "score": float("nan")}, {"text": "half \ud83d", "score": float("-inf")}]
    texts = ["first", "half \ufffd"]
    made.good("python.json", json.dumps(odd).encode(), "json", [], texts=texts, fields={"score": None})
    lines = "".join(json.dumps(row) + "\n" for row in odd)
    made.good("python.jsonl", lines.encode(), "json_lines", [], texts=texts, fields={"score": None})


def programs(made: Made) -> None:
    header, cells = "id;lamp;note", ['1;"North; the ""old"" one";Küste', "2;Süd;1,5 km"]
    texts = ['id: 1\nlamp: North; the "old" one\nnote: Küste', "id: 2\nlamp: Süd\nnote: 1,5 km"]
    excel = "\r\n".join(["sep=;", header, *cells, ""])
    made.good("excel-sep.csv", excel.encode("cp1252"), "csv", [], texts=texts, charset="windows-1252")
    excel = "\r\n".join([header, *cells, ";;", ""])
    made.good("excel-utf-8.csv", b"\xef\xbb\xbf" + excel.encode(), "csv", [], texts=texts)
    unicode_text = "\r\n".join(["id\tlamp\tnote", '1\t"North; the ""old"" one"\tKüste', "2\tSüd\t1,5 km", ""])
    made.good(
        "excel-unicode-text.csv", unicode_text.encode("utf-16"), "csv", [], texts=texts, charset="UTF-16LE"
    )
    macintosh = "\r".join(["id,lamp", "1,North", '2,"South, east"', ""])
    made.good("excel-macintosh.csv", macintosh.encode(), "csv", [], texts=["id: 1\nlamp: North", "id: 2\nlamp: South, east"])
    spark = 'id,lamp,json\n1,"North, the \\"old\\" one","{\\"a\\":\\"b\\"}"\n2,South,"{\\"a\\":1, \\"b\\":2}"\n'
    texts = ['id: 1\nlamp: North, the "old" one\njson: {"a":"b"}', 'id: 2\nlamp: South\njson: {"a":1, "b":2}']
    made.good("spark.csv", spark.encode(), "csv", [], texts=texts)
    copied = 'id,lamp,lit,note\n1,"North, the ""old"" one",t,\n2,South,f,""\n3,"two\nlines",t,"a \\ b"\n'
    texts = [
        'id: 1\nlamp: North, the "old" one\nlit: t\nnote: ',
        "id: 2\nlamp: South\nlit: f\nnote: ",
        "id: 3\nlamp: two\nlines\nlit: t\nnote: a \\ b",
    ]
    made.good("postgresql.csv", copied.encode(), "csv", [], texts=texts)


def people(made: Made) -> None:
    """What happens to files on their way."""
    torn = 'id,lamp\n1,North\n2,"not closed\n3,South\n4,"East, ""far"""\n5,W\0est\n'
    texts = ["id: 1\nlamp: North", "id: 3\nlamp: South", 'id: 4\nlamp: East, "far"', "id: 5\nlamp: W\0est"]
    made.good("torn.csv", torn.encode(), "csv", [], texts=texts, left_out=1)
    doubled = "id,lamp,lamp,\n1,North,South,East\n2\n3,a,b,c,d\n"
    texts = ["id: 1\nlamp: North\nlamp: South\nEast", "id: 2", "id: 3\nlamp: a\nlamp: b\nc\nd"]
    made.good("doubled-names.csv", doubled.encode(), "csv", [], texts=texts)
    concatenated = '\ufeff{"content": "one"}\n\ufeff{"body": "two"}{"text": "three"}\n\ufeff[{"title": "four"}]\n'
    made.good("concatenated.json", concatenated.encode(), "json", [], texts=["one", "two", "three", "title: four"])
    broken = '[\n {"text": "one"},\n {"text": "two",},\n {"text": "not closed},\n {"text": "three"}\n]\n'
    made.good("one-broken.json", broken.encode(), "json", [], texts=["one", "three"], left_out=2)
    records = '{"title": "Lamp", "keeper": {"name": "Ann", "born": 1854}, "tags": ["sea", "light"]}\n{"id": 7}\n'
    texts = ["title: Lamp\nkeeper.name: Ann\nkeeper.born: 1854\ntags: sea\ntags: light"]
    made.good("without-text.jsonl", records.encode(), "json_lines", [], texts=texts, left_out=1)
    made.good("one-bad-byte.txt", "Größe \xff".encode("utf-8").replace(b"\xc3\xbf", b"\xff"), "text", [], texts=["Größe \ufffd"])


def tables(made: Made) -> None:
    libraries(made)
    programs(made)
    people(made)
