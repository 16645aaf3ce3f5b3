"""Reads a retrieval benchmark in BEIR's form (arXiv:2104.08663), a folder with three files:

    corpus.jsonl                            a document a line: "_id", "text" and, if it has one, "title"
    queries.jsonl                           a query a line: "_id", "text"
    qrels/test.tsv, or else qrels-test.tsv  judgements: query id, document id, grade; a header line may come first

A grade above 0 makes a document relevant to the query, a higher one more so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

JUDGEMENTS = ("qrels/test.tsv", "qrels-test.tsv")


class BadFolder(Exception):
    """The folder is not a benchmark in this form; the message names the file and, where there is one, the line."""


@dataclass(frozen=True)
class Query:
    """A query and the grades of the documents that are relevant to it, by their ids; there is at least one."""

    text: str
    grades: Mapping[str, int]


@dataclass(frozen=True)
class Benchmark:
    """Documents by their ids, title before text, and the queries that have relevant documents.

    `left_out` counts the judged queries that have none; queries without any judgement are not counted.
    """

    name: str
    documents: Mapping[str, str]
    queries: list[Query]
    left_out: int


def read(folder: Path) -> Benchmark:
    """The benchmark in `folder`. Raises BadFolder."""
    corpus, asked = folder / "corpus.jsonl", folder / "queries.jsonl"
    judged = next((folder / name for name in JUDGEMENTS if (folder / name).is_file()), None)
    if judged is None:
        raise BadFolder(f"{folder} has neither {' nor '.join(JUDGEMENTS)}")
    titles = {id: f"{record.get('title') or ''} {record['text']}".strip() for id, record in _records(corpus)}
    texts = {id: record["text"] for id, record in _records(asked)}
    relevant: dict[str, dict[str, int]] = {}
    for line, query, document, grade in _judgements(judged):
        if query not in texts:
            raise BadFolder(f"{judged}, line {line}: {asked.name} has no query {query}")
        grades = relevant.setdefault(query, {})
        if grade > 0:
            if document not in titles:
                raise BadFolder(f"{judged}, line {line}: {corpus.name} has no document {document}")
            grades[document] = grade
    queries = [Query(texts[id], grades) for id, grades in relevant.items() if grades]
    if not queries:
        raise BadFolder(f"{judged} has no relevant document for any query")
    return Benchmark(folder.resolve().name, titles, queries, len(relevant) - len(queries))


def _records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Ids and records, each with a text."""
    seen: set[str] = set()
    for number, line in _lines(path):
        try:
            record = json.loads(line)
            id, text = record["_id"], record["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise BadFolder(f'{path}, line {number}: not an object with "_id" and "text"') from error
        if not isinstance(id, str) or not isinstance(text, str):
            raise BadFolder(f'{path}, line {number}: "_id" and "text" have to be strings')
        if id in seen:
            raise BadFolder(f"{path}, line {number}: {id} was there before")
        seen.add(id)
        yield id, record


def _judgements(path: Path) -> Iterator[tuple[int, str, str, int]]:
    """Line number, query id, document id and grade."""
    for number, line in _lines(path):
        try:
            query, document, grade = line.rstrip("\r\n").split("\t")
            yield number, query, document, int(grade)
        except ValueError as error:
            if number > 1:  # the first line may be a header
                raise BadFolder(f"{path}, line {number}: not a query id, a document id and a whole number") from error


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, numbered from 1."""
    try:
        with path.open(encoding="utf-8") as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise BadFolder(f"{path} cannot be read: {error}") from error
