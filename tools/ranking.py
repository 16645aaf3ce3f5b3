"""Searches vectors and scores the results, as trec_eval and BEIR do.

- nDCG@10: a document's gain is its grade, divided by log2(rank + 1), and the sum by that of the best order.
- recall@100: the share of the relevant documents that are among the first hundred.
- Documents of equal similarity come in descending order of their ids, which is trec_eval's order.
- A document whose id equals the query's counts like any other. BEIR leaves it out for ArguAna and Quora.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log2

import numpy as np

from tools.weights import Array

NDCG_DEPTH, RECALL_DEPTH = 10, 100
BLOCK = 64  # queries searched at a time, to bound memory


def search(queries: Array, documents: Array, ids: Sequence[str], depth: int = RECALL_DEPTH) -> list[list[str]]:
    """For each query the ids of the most similar documents, the most similar first.

    `queries` [queries, hidden] and `documents` [documents, hidden] are unit vectors; `ids` name the latter.
    """
    descending = sorted(range(len(ids)), key=ids.__getitem__, reverse=True)
    ordered = documents[descending].T
    found: list[list[str]] = []
    for start in range(0, len(queries), BLOCK):
        similar = queries[start : start + BLOCK] @ ordered
        nearest = np.argsort(-similar, axis=1, kind="stable")[:, :depth]
        found += [[ids[descending[column]] for column in row] for row in nearest]
    return found


def ndcg(found: Sequence[str], grades: Mapping[str, int]) -> float:
    """nDCG@10 of one query; `grades` are its relevant documents', at least one."""
    best = sorted(grades.values(), reverse=True)
    return _gain([grades.get(id, 0) for id in found]) / _gain(best)


def recall(found: Sequence[str], grades: Mapping[str, int]) -> float:
    """recall@100 of one query; `grades` as above."""
    return len(grades.keys() & set(found[:RECALL_DEPTH])) / len(grades)


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / log2(rank + 1) for rank, grade in enumerate(grades[:NDCG_DEPTH], 1))
