//! The text of `docs/metrics.md`, made from the table of metrics.

use std::fmt::Write;

use lambda_embed::observability::metrics::{By, CALLS, METRICS};

const HEAD: &str = "\
# Metrics

Written from `src/observability`; a test compares. Under Lambda each call ends with one line in CloudWatch's embedded
metric format on standard output, from which CloudWatch makes the metrics below without any request to it, and with
one log line. `EMBED_METRICS_NAMESPACE` names the namespace (`LambdaEmbed`; `off` writes no such line),
`EMBED_SERVICE` the dimension `service` (the function's name). Under `bootstrap serve` the process's totals are at
`GET /metrics` as Prometheus text.

Figures that are zero are left out of the line, so a function that serves queries pays for none of the ingest
metrics. With an application log level above INFO, Lambda drops the line: it counts a line without a level as INFO.

| CloudWatch | unit | dimensions | Prometheus | what it is |
|---|---|---|---|---|
";

const TAIL: &str = "
`GET /metrics` has the durations as a histogram, `embed_duration_seconds`, in place of their sum, and besides

| Prometheus | what it is |
|---|---|
";

const LOG: &str = "
## The log line

One JSON line a call, `\"message\": \"invocation\"`, in the shape of Lambda's JSON log format. Its level is INFO, WARN for
a call that was turned away for lack of time or room, ERROR for a fault of ours, which it names in `cause`.

| field | what it is |
|---|---|
| `timestamp`, `level`, `message` | Lambda's own |
| `requestId`, `xrayTraceId` | of the call; the trace header where there is one |
| `service`, `source`, `cold_start` | as in the metrics |
| `outcome` | `ok`, or the error's type as in `error_type` |
| `status` | an HTTP answer's |
| `cause` | the causes of a fault of ours, in one line |
| `texts`, `tokens`, `truncated`, `documents`, `skipped`, `failed` | counts |
| `tokenize_ms`, `run_ms`, `encode_ms`, `read_ms`, `write_ms`, `duration_ms` | where the time went |
| `resident_mb` | the process's memory after the call |

Every call has its line and its metrics, however it ends: one that is handed back or whose client went away is told
when it is dropped, one that came before the model was there like any other.

One line a document besides, `\"message\": \"document\"`, INFO or, for one that failed, WARN:

| field | what it is |
|---|---|
| `requestId` | of the call that dealt with it |
| `bucket`, `key` | the object |
| `outcome` | as in `docs/events.md`, in a word |
| `cause` | why it was skipped (the words of `docs/documents.md`), ignored, or failed: `broken`; `source_denied`, `source_elsewhere`, `source_archived`, `source_busy`, `source_refused` by its own bucket; `sink_` and the same, or `sink_absent`, by the place where vectors go; `no_bucket_name`; `raced`; `panic`; an error's type |
| `chunks`, `tokens` | of one that was embedded |

The reason in full stands in the document's `<key>.outcome.json` beside the vectors, and in the call's answer: it may
quote the document, or a store's words. Parts that a document had to leave out are a WARN line with `parts`, their
number, and `first`, the places and kinds of the first ones.

A line never holds a text, a vector, a token, a token's id or the name of a secret; of a caller's mistake it holds the
kind alone, because the message may quote what the caller wrote; in the messages of ONNX Runtime, which may quote a
token's id, `#` stands for every number. Other libraries' lines pass from WARN on, whatever the level.
";

/// The page's text.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    for metric in METRICS {
        let dimensions = match metric.by {
            By::Service => "`service`",
            By::Source => "`service`, `source`",
            By::ErrorType => "`service`, `error_type`",
        };
        let (unit, about) = (metric.unit.name(), metric.about);
        let _ = writeln!(page, "| `{}` | {unit} | {dimensions} | `{}` | {about} |", metric.name, metric.prometheus);
    }
    let (name, about) = CALLS;
    let _ = writeln!(page, "{TAIL}| `{name}` | {about} |");
    page.push_str(LOG);
    page
}
