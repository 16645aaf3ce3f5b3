//! The text of `docs/metrics.md`, made from the table of metrics.

use std::fmt::Write;

use lambda_embed::observability::metrics::{By, CALLS, METRICS};

const HEAD: &str = "\
# Metrics

A test generates this page from `src/observability` and compares. Under Lambda each call ends with one line in
CloudWatch's embedded metric format on standard output, and with one log line. CloudWatch makes the metrics below from
the first line, so the function sends no request for them. `EMBED_METRICS_NAMESPACE` sets the namespace (`LambdaEmbed`;
`off` writes no such line), `EMBED_SERVICE` the dimension `service` (the function's name). Under `bootstrap serve`,
`GET /metrics` has the process's totals as Prometheus text.

Values that are zero are left out of the line, so a function that serves queries pays for none of the ingest metrics.
With an application log level above INFO, Lambda drops the line, because it treats a line without a level as INFO.

| CloudWatch | unit | dimensions | Prometheus | what it is |
|---|---|---|---|---|
";

const TAIL: &str = "
`GET /metrics` has the durations as a histogram, `embed_duration_seconds`, in place of their sum, and in addition

| Prometheus | what it is |
|---|---|
";

const LOG: &str = "
## The log line

Each call writes one JSON line with `\"message\": \"invocation\"`, in the shape of Lambda's JSON log format. Its level is
INFO, WARN for a call that was rejected for lack of time or capacity, and ERROR for an internal error, whose causes are
in `cause`.

| field | what it is |
|---|---|
| `timestamp`, `level`, `message` | Lambda's own |
| `requestId`, `xrayTraceId` | the call's request id, and its trace header if it has one |
| `service`, `source`, `cold_start` | as in the metrics |
| `outcome` | `ok`, or the error's type as in `error_type` |
| `status` | the HTTP status of the answer |
| `broken_stream` | `true` if a failure of ours ended a streamed answer after its status had been sent |
| `cause` | the causes of an internal error, in one line |
| `texts`, `tokens`, `truncated`, `documents`, `skipped`, `unreadable`, `left_out`, `failed`, `unfinished` | counts |
| `tokenize_ms`, `run_ms`, `encode_ms`, `read_ms`, `write_ms`, `duration_ms` | where the time went |
| `resident_mb` | the process's memory after the call |

Every call has its line and its metrics, however it ends: also a call that is handed back, one whose client went away,
and one that came before the model was loaded.

Each document has a line of its own with `\"message\": \"document\"`; its level is INFO, or WARN if the document failed or no word of it could be read:

| field | what it is |
|---|---|
| `requestId` | the request id of the call that processed it |
| `bucket`, `key` | the object |
| `outcome` | one word, as in `docs/events.md` |
| `cause` | why it was skipped (the words of `docs/documents.md`), ignored, or failed: `broken`; `no_reader`; for its own bucket `source_denied`, `source_elsewhere`, `source_archived`, `source_busy`, `source_refused`; for the place where vectors go the same with `sink_`, or `sink_absent`; `no_bucket_name`; `raced`; `panic`; an error's type |
| `chunks`, `tokens` | counts, if it was embedded |

The full reason is in the document's `<key>.outcome.json` beside the vectors, and in the call's answer, not in the log,
because it may quote the document or a store's message. If parts of a document had to be left out, a WARN line has their
number in `parts`, and the places and kinds of the first ones in `first`.

A line never holds a text, a vector, a token, a token's id or the name of a secret. Of a caller's mistake it holds only
the kind, because the message may quote what the caller wrote. Messages of ONNX Runtime may quote a token's id, so `#`
replaces every number in them. Lines of other libraries are written from WARN on, whatever the level.
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
