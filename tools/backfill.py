"""What embedding an existing bucket costs; `python3 -m tools.bench.tables` puts it into docs/backfill.md.

    docs/figures.json   how long one document takes as one task of S3 Batch Operations   (make bench-ingest)
    prices and quotas   below, with their sources
    -> invocations, hours, dollars for a number of documents at a concurrency

Every document is an invocation of its own, because S3 Batch Operations hands out one task at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.bench.report import table
from tools.bench.start import MEGABYTES_PER_CPU

# us-east-1, dollars, from the pages "AWS Lambda Pricing" and "Amazon S3 pricing" on 2026-11-22. Look them up again
# before you quote them.
LAMBDA_GB_SECOND = 0.0000166667
LAMBDA_REQUEST = 0.20 / 1e6
S3_GET = 0.0004 / 1e3
S3_PUT = 0.005 / 1e3
S3_STORAGE_GB_MONTH = 0.023
BATCH_JOB = 0.25
BATCH_OBJECT = 1.00 / 1e6
# Invocations at one time in an account's region unless raised: "Lambda quotas".
CONCURRENCY = 1000
# Requests to S3 for one document: HEAD of its result, GET of itself, PUT of its result. DELETE is free.
GETS, PUTS = 2, 1
# Milliseconds that these three take within a region; a call with one document only waits meanwhile. An assumption, not
# a measurement: S3's "Performance guidelines" name 100 to 200 for the slowest small requests.
S3_MILLISECONDS = 60.0
# Bytes of a record of JSON Lines with base64 vectors and without text, of 384 dimensions.
RECORD_BYTES = 2900


@dataclass(frozen=True)
class Estimate:
    """The time and cost of `documents` documents of `tokens` tokens."""

    tokens: int
    windows: float
    documents: float
    seconds: float

    @property
    def hours(self) -> float:
        return self.documents * self.seconds / CONCURRENCY / 3600

    def dollars(self) -> dict[str, float]:
        """The cost by service."""
        gigabytes = MEGABYTES_PER_CPU / 1024
        return {
            "Lambda": self.documents * (self.seconds * gigabytes * LAMBDA_GB_SECOND + LAMBDA_REQUEST),
            "S3 requests": self.documents * (GETS * S3_GET + PUTS * S3_PUT),
            "Batch Operations": BATCH_JOB + self.documents * BATCH_OBJECT,
        }


def estimates(rows: list[dict[str, float]], documents: float) -> list[Estimate]:
    """One for each size of document that was measured."""
    return [
        Estimate(
            tokens=int(row["tokens of a document"]),
            windows=row["windows"],
            documents=documents,
            seconds=(row["ms a call of one"] + S3_MILLISECONDS) / 1e3,
        )
        for row in rows
    ]


def shown(estimate: Estimate) -> dict[str, object]:
    paid = estimate.dollars()
    storage = estimate.documents * estimate.windows * RECORD_BYTES / 1e9 * S3_STORAGE_GB_MONTH
    return {
        "tokens": estimate.tokens,
        "invocations": f"{estimate.documents:,.0f}",
        "ms each": round(estimate.seconds * 1e3),
        f"hours, {CONCURRENCY:,} at a time": f"{estimate.hours:,.1f}",
        **{f"{name}, $": f"{dollars:,.0f}" for name, dollars in paid.items()},
        "together, $": f"{sum(paid.values()):,.0f}",
        "kept, $ a month": f"{storage:,.0f}",
    }


def computed(measured: dict[str, object]) -> str:
    """The tables of the page."""
    rows = measured["rows"]
    assert isinstance(rows, list)
    parts = [f"Measured on {measured['machine']}."]
    for documents in (1e6, 1e9):
        parts.append(
            f"### {documents:,.0f} documents\n\n" + table([shown(each) for each in estimates(rows, documents)])
        )
    return "\n\n".join(parts)
