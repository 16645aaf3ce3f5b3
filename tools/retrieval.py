"""A small search task, to see whether int8 vectors find what float32 ones find.

    Python's help topics -> sections of paragraphs -> one sentence taken out of a paragraph is a question
                         -> the rest of the paragraph is what it should find

Questions are made by rule and checked by rule: a whole sentence of some length that can be understood alone,
that stands nowhere else, and that leaves a paragraph behind. Its own paragraph is worth 3, another one of
the same section 1. The score is nDCG@10 with these grades as gains: 1 for a perfect order.
The absolute score says little, for models are tuned for harder tasks; the difference is what counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from tools import corpus
from tools.weights import Array

QUESTIONS, DOCUMENTS = 300, 600
OWN_GRADE, SECTION_GRADE = 3.0, 1.0
DEPTH = 10
WORDS = range(7, 26)  # shorter says too little, longer is no question
# Sentences that begin so speak of something that was said before.
_DEPENDENT = set("It This That These They Those He She Such Otherwise However Note For If In See Also But And".split())
_HEADING = re.compile(r"^(.+)\n[=*~^-]{3,}$")


@dataclass(frozen=True)
class Task:
    """Questions, documents, and the grades [questions, documents] of what each should find."""

    questions: list[str]
    documents: list[str]
    grades: Array


@cache
def task() -> Task:
    """The task. Raises ValueError if this Python's topics are too few for it."""
    sections = _sections()
    order = sorted(sections, key=corpus.order)
    taken = [(text, found) for text in order if (found := _question(text, sections))][:QUESTIONS]
    if len(taken) < QUESTIONS:
        raise ValueError(f"only {len(taken)} questions can be made, {QUESTIONS} are needed")
    sources = [text for text, _ in taken]
    others = [text for text in order if text not in set(sources)][: DOCUMENTS - QUESTIONS]
    documents = [text.replace(found, "").strip() for text, found in taken] + others

    grades = np.zeros((len(sources), len(documents)))
    for row, source in enumerate(sources):
        for column, text in enumerate(sources + others):
            grades[row, column] = SECTION_GRADE * bool(sections[source] & sections[text])
        grades[row, row] = OWN_GRADE
    return Task([f"Where is it explained that {found[:-1]}?" for _, found in taken], documents, grades)


def ndcg(questions: Array, documents: Array, grades: Array) -> float:
    """nDCG@10 of unit vectors [questions, hidden] searching [documents, hidden]."""
    found = np.argsort(-(questions @ documents.T), axis=1, kind="stable")[:, :DEPTH]
    best = -np.sort(-grades, axis=1)[:, :DEPTH]
    discounts = 1 / np.log2(np.arange(2, DEPTH + 2))
    return float((np.take_along_axis(grades, found, axis=1) @ discounts / (best @ discounts)).mean())


def _sections() -> dict[str, set[str]]:
    """Every paragraph and the headings it stands under; topics repeat some."""
    found: dict[str, set[str]] = {}
    for topic in corpus.topics():
        heading = ""
        for block in corpus.blocks(topic):
            if match := _HEADING.match(block.strip()):
                heading = match[1]
            elif corpus.is_prose(text := " ".join(block.split())):
                found.setdefault(text, set()).add(heading)
    return found


def _question(text: str, sections: dict[str, set[str]]) -> str | None:
    """The paragraph's first sentence that can stand alone, if enough is left without it."""
    for sentence in re.split(r"(?<=\.)\s+(?=[A-Z])", text):
        words = sentence.split()
        alone = sentence.endswith(".") and len(words) in WORDS and words[0].strip(",") not in _DEPENDENT
        left = len(text) - len(sentence) >= corpus.MIN_CHARACTERS
        if alone and left and sum(sentence in other for other in sections) == 1 and text.count(sentence) == 1:
            return sentence
    return None
