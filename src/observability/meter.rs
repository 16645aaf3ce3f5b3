//! One call's measurements, collected while it runs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::metrics::{
    DOCUMENTS, DOCUMENTS_FAILED, DOCUMENTS_SKIPPED, DOCUMENTS_UNFINISHED, DOCUMENTS_UNREADABLE, ENCODE, PARTS_LEFT_OUT,
    READ, RUN, STREAMS_BROKEN, TEXTS, TOKENIZE, TOKENS, TRUNCATED, Value, WRITE,
};
use crate::error::{Error, Kind};

/// Collects one call's measurements; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Meter(Arc<Mutex<Measurements>>);

/// One call's measurements so far.
#[derive(Debug, Clone, Default)]
pub struct Measurements {
    /// The event's kind; empty until the event is decoded.
    pub source: &'static str,
    /// Texts embedded; for documents, their chunks.
    pub texts: usize,
    pub tokens: usize,
    pub truncated_count: usize,
    pub documents: usize,
    pub skipped: usize,
    pub unreadable: usize,
    /// Parts of documents that could not be read.
    pub left_out: u64,
    pub failed: usize,
    pub unfinished: usize,
    pub tokenize: Duration,
    pub run: Duration,
    /// When the vectors were ready; the time after it is encoding.
    pub embedded: Option<Instant>,
    pub encode: Duration,
    pub read: Duration,
    pub write: Duration,
    /// An HTTP response's status.
    pub status: Option<u16>,
    /// Whether a streamed response has begun and not ended.
    pub stream_open: bool,
    pub failure: Option<CallFailure>,
}

/// Why a call failed, without anything that must not be logged.
#[derive(Debug, Clone)]
pub struct CallFailure {
    pub kind: Kind,
    /// The causes of a fault of ours. `None` for a caller's mistake, whose message may quote the caller.
    pub cause: Option<String>,
}

impl Meter {
    /// Changes the measurements.
    pub fn note(&self, change: impl FnOnce(&mut Measurements)) {
        change(&mut self.lock());
    }

    /// Notes why the call fails; the first reason stays.
    pub fn fail(&self, error: &Error) {
        let kind = error.kind();
        let cause = kind.is_fault().then(|| error.chain().to_string());
        self.note(|m| _ = m.failure.get_or_insert(CallFailure { kind, cause }));
    }

    /// The measurements so far.
    pub fn read(&self) -> Measurements {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Measurements> {
        // A panic leaves no half-written number.
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Measurements {
    /// Whether a streamed response ended early although its client still read it.
    pub(super) fn has_broken_stream(&self) -> bool {
        self.stream_open && self.failure.as_ref().is_some_and(|failure| failure.kind != Kind::Abandoned)
    }

    /// Every measurement that is a metric, zeros included.
    pub(super) fn values(&self) -> [Value; 15] {
        let (count, ms) = (|count: usize| count as f64, |time: Duration| time.as_secs_f64() * 1e3);
        [
            (&TEXTS, count(self.texts)),
            (&TOKENS, count(self.tokens)),
            (&TRUNCATED, count(self.truncated_count)),
            (&STREAMS_BROKEN, count(usize::from(self.has_broken_stream()))),
            (&TOKENIZE, ms(self.tokenize)),
            (&RUN, ms(self.run)),
            (&ENCODE, ms(self.encode)),
            (&DOCUMENTS, count(self.documents)),
            (&DOCUMENTS_SKIPPED, count(self.skipped)),
            (&DOCUMENTS_UNREADABLE, count(self.unreadable)),
            (&PARTS_LEFT_OUT, self.left_out as f64),
            (&DOCUMENTS_FAILED, count(self.failed)),
            (&DOCUMENTS_UNFINISHED, count(self.unfinished)),
            (&READ, ms(self.read)),
            (&WRITE, ms(self.write)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_milliseconds() {
        let measured = Measurements { run: Duration::from_micros(2_500), ..Measurements::default() };
        let run = measured.values().into_iter().find(|(metric, _)| metric.name == RUN.name).unwrap().1;
        assert_eq!(run, 2.5);
    }

    #[test]
    fn a_stream_is_broken_by_a_failure_and_not_by_its_client() {
        let internal = || Error::internal("the model failed on a text", "no memory");
        let left = || Error::request(Kind::Abandoned, None, "gone");
        for (stream_open, error, broken) in
            [(true, internal(), true), (true, left(), false), (false, internal(), false)]
        {
            let meter = Meter::default();
            meter.note(|m| m.stream_open = stream_open);
            meter.fail(&error);
            assert_eq!(meter.read().has_broken_stream(), broken, "{error}");
        }
    }

    #[test]
    fn a_callers_mistake_leaves_its_kind_and_no_word_of_it() {
        let meter = Meter::default();
        meter.fail(&Error::request(Kind::Invalid, "input", "input: invalid type: string \"a secret\""));
        let failure = meter.read().failure.unwrap();
        assert_eq!((failure.kind, failure.cause), (Kind::Invalid, None));
    }

    #[test]
    fn a_fault_of_ours_leaves_its_causes_and_the_first_one_stays() {
        let meter = Meter::default();
        meter.fail(&Error::internal("the model failed on a text", "no memory"));
        meter.fail(&Error::internal("later", "what follows"));
        let failure = meter.read().failure.unwrap();
        assert_eq!(failure.cause.as_deref(), Some("the model failed on a text: no memory"));
    }
}
