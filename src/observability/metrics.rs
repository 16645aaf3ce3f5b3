//! Every metric: its names in CloudWatch and Prometheus, its unit, its dimensions.

/// The service's name in logs and metrics, and their namespace.
#[derive(Debug, Clone)]
pub struct Names {
    pub service: String,
    /// CloudWatch's namespace; `None` writes no metrics.
    pub namespace: Option<String>,
}

/// The units of CloudWatch in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Count,
    Milliseconds,
    Bytes,
}

impl Unit {
    /// CloudWatch's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Bytes => "Bytes",
        }
    }
}

/// A metric's dimension beside `service`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Service,
    /// `source`: the event's kind.
    Source,
    /// `error_type`: Lambda's `errorType` in the table of [`crate::error`].
    ErrorType,
}

/// How a process totals a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// The sum of all values.
    Sum,
    /// The last value.
    Last,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// In CloudWatch.
    pub name: &'static str,
    /// In Prometheus text, where durations are seconds.
    pub prometheus: &'static str,
    pub unit: Unit,
    pub by: By,
    pub total: Total,
    pub about: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $name:literal, $prometheus:literal, $unit:ident, $by:ident, $total:ident, $about:literal;)*) => {
        $(#[doc = $about] pub const $id: Metric = Metric {
            name: $name, prometheus: $prometheus, unit: Unit::$unit, by: By::$by, total: Total::$total, about: $about,
        };)*
        /// Every metric there is; `docs/metrics.md` shows this table.
        pub const METRICS: &[&Metric] = &[$(&$id),*];
    };
}

#[rustfmt::skip]
metrics! {
    INVOCATIONS      = "Invocations",     "embed_invocations_total",           Count,        Source,    Sum,  "calls, by the kind of event that made them";
    ERRORS           = "Errors",          "embed_errors_total",                Count,        ErrorType, Sum,  "calls that were rejected or failed, by the error's type";
    STREAMS_BROKEN   = "StreamsBroken",   "embed_streams_broken_total",        Count,        Service,   Sum,  "streamed answers that a failure of ours ended before their last byte, after their status had been sent";
    COLD_START       = "ColdStart",       "embed_cold_starts_total",           Count,        Service,   Sum,  "1 for a process's first call";
    DURATION         = "Duration",        "embed_duration_seconds_total",      Milliseconds, Service,   Sum,  "from a call's event to its answer; under serve from the request's head";
    TEXTS            = "Texts",           "embed_texts_total",                 Count,        Service,   Sum,  "texts embedded; for documents, their chunks";
    TOKENS           = "Tokens",          "embed_tokens_total",                Count,        Service,   Sum,  "tokens that went through the model, special tokens included";
    TRUNCATED        = "Truncated",       "embed_truncated_total",             Count,        Service,   Sum,  "texts that were cut at the model's limit";
    TOKENIZE         = "TokenizeTime",    "embed_tokenize_seconds_total",      Milliseconds, Service,   Sum,  "texts to token ids";
    RUN              = "RunTime",         "embed_run_seconds_total",           Milliseconds, Service,   Sum,  "running the model, from the first text's queueing to the last vector; for documents, the sum over their batches";
    ENCODE           = "EncodeTime",      "embed_encode_seconds_total",        Milliseconds, Service,   Sum,  "vectors to an answer's bytes, compression included";
    DOCUMENTS        = "Documents",       "embed_documents_total",             Count,        Service,   Sum,  "documents ingested";
    DOCUMENTS_SKIPPED = "DocumentsSkipped", "embed_documents_skipped_total",   Count,        Service,   Sum,  "documents that were skipped: embedded already, or of a kind without text";
    DOCUMENTS_UNREADABLE = "DocumentsUnreadable", "embed_documents_unreadable_total", Count, Service, Sum, "documents with content of which no word could be read; vectors of an older version stay";
    PARTS_LEFT_OUT   = "PartsLeftOut",    "embed_parts_left_out_total",        Count,        Service,   Sum,  "pages, records and other parts of ingested documents that could not be read";
    DOCUMENTS_FAILED = "DocumentsFailed", "embed_documents_failed_total",      Count,        Service,   Sum,  "documents that failed";
    DOCUMENTS_UNFINISHED = "DocumentsUnfinished", "embed_documents_unfinished_total", Count, Service,   Sum,  "documents that ran out of time; a later call continues them";
    READ             = "ReadTime",        "embed_read_seconds_total",          Milliseconds, Service,   Sum,  "reading from S3";
    WRITE            = "WriteTime",       "embed_write_seconds_total",         Milliseconds, Service,   Sum,  "writing to the sinks";
    RESIDENT_MEMORY  = "ResidentMemory",  "embed_resident_memory_bytes",       Bytes,        Service,   Last, "the process's memory after the call";
    INIT             = "InitTime",        "embed_init_seconds",                Milliseconds, Service,   Last, "the whole start; this and its stages are reported with the first call";
    INIT_FETCH       = "InitFetchTime",   "embed_init_fetch_seconds",          Milliseconds, Service,   Last, "fetching the model from S3";
    INIT_LIBRARY     = "InitLibraryTime", "embed_init_library_seconds",        Milliseconds, Service,   Last, "loading ONNX Runtime";
    INIT_VERIFY      = "InitVerifyTime",  "embed_init_verify_seconds",         Milliseconds, Service,   Last, "hashing the model";
    INIT_TOKENIZER   = "InitTokenizerTime", "embed_init_tokenizer_seconds",    Milliseconds, Service,   Last, "loading the tokenizer";
    INIT_SESSION     = "InitSessionTime", "embed_init_session_seconds",        Milliseconds, Service,   Last, "building the session";
    INIT_WARM_UP     = "InitWarmUpTime",  "embed_init_warm_up_seconds",        Milliseconds, Service,   Last, "the first run";
}

/// The gauge that only Prometheus has, because it is of one moment: its name and what it is.
pub const CALLS: (&str, &str) = ("embed_calls", "calls that are admitted and not yet answered");

/// One metric's value in one call: a count, bytes or milliseconds.
pub type Value = (&'static Metric, f64);

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_in_their_systems_style() {
        let unique = |name: fn(&Metric) -> &str| METRICS.iter().map(|metric| name(metric)).collect::<HashSet<_>>();
        assert_eq!(unique(|metric| metric.name).len(), METRICS.len());
        assert_eq!(unique(|metric| metric.prometheus).len(), METRICS.len());
        for metric in METRICS {
            assert!(metric.name.chars().all(char::is_alphabetic), "{}", metric.name);
            let expected = match (metric.unit, metric.total) {
                (Unit::Count, _) => "_total",
                (Unit::Milliseconds, Total::Sum) => "_seconds_total",
                (Unit::Milliseconds, Total::Last) => "_seconds",
                (Unit::Bytes, _) => "_bytes",
            };
            assert!(metric.prometheus.ends_with(expected), "{}", metric.prometheus);
        }
    }
}
