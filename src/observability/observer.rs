//! The end of a call: its log line, its metrics, the process's totals.

use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::Measurements;
use super::emf::EmfLine;
use super::memory::Memory;
use super::metrics::{CALLS, COLD_START, DURATION, ERRORS, INVOCATIONS, Names, RESIDENT_MEMORY, Value};
use super::prometheus::Totals;
use crate::concurrency::panics;
use crate::error::{Error, Kind, Result};
use crate::observability::call::Call;

/// Logs and counts calls; a process has one.
#[derive(Debug)]
pub struct Observer {
    names: Names,
    /// The start's durations, which the first call that ends after it reports.
    init: Mutex<Vec<Value>>,
    memory: Memory,
    /// Whether a call has ended already.
    warm: AtomicBool,
    /// Whether calls are dropped because the process ends.
    stopping: AtomicBool,
    totals: Mutex<Totals>,
}

impl Observer {
    pub fn new(names: Names) -> Self {
        Self {
            names,
            init: Mutex::default(),
            memory: Memory::open(),
            warm: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            totals: Mutex::default(),
        }
    }

    /// Notes that the process ends: calls dropped from now on are logged as stopped, not as abandoned.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Notes the start's durations.
    pub fn started(&self, init: Vec<Value>) {
        *self.init.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = init;
    }

    /// Runs a call's `work`, then logs and counts the call, also if this future is dropped. Whoever drops it may note the
    /// reason in the meter first; otherwise the call counts as abandoned.
    ///
    /// # Errors
    /// Those of the work; a panic in it is an internal error of this call alone.
    pub async fn watch<T>(&self, call: &Call, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut ending = Ending { observer: self, call, started: Instant::now(), dropped: true };
        let outcome = call.scope(panics::caught("the call panicked", work)).await;
        if let Err(error) = &outcome {
            call.meter.fail(error);
        }
        ending.dropped = false;
        outcome
    }

    /// The totals as Prometheus text; `calls` are under way.
    pub fn prometheus(&self, calls: usize) -> String {
        let (name, about) = CALLS;
        self.lock().prometheus(&[(name, about, calls as f64)])
    }

    fn tell(&self, call: &Call, took: Duration) {
        let mut m = call.meter.read();
        m.encode = m.embedded.map_or(Duration::ZERO, |at| at.elapsed());
        let cold_start = !self.warm.swap(true, Ordering::Relaxed);
        let resident = self.memory.resident_bytes().unwrap_or_default();
        let error_type = m.failure.as_ref().map(|failure| failure.kind.row().lambda_type);
        let values = self.values(&m, took, resident, cold_start);
        if let Some(namespace) = &self.names.namespace {
            let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let line = EmfLine {
                namespace,
                service: &self.names.service,
                source: source(&m),
                error_type,
                request_id: &call.request_id,
                cold_start,
                timestamp: since_1970.as_millis() as u64,
            };
            // One write, so that no other line comes in between. A closed output must not fail a call.
            let _ = std::io::stdout().lock().write_all(line.format(&values).as_bytes());
        }
        {
            let mut totals = self.lock();
            totals.add(&values, source(&m), error_type);
            totals.add_duration(took.as_secs_f64());
        }
        self.log(call, &m, took, resident, cold_start);
    }

    /// The call's values without zeros.
    fn values(&self, m: &Measurements, took: Duration, resident: u64, cold_start: bool) -> Vec<Value> {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let mut values: Vec<Value> = Vec::with_capacity(32);
        values.push((&INVOCATIONS, 1.0));
        values.push((&DURATION, ms(took)));
        values.push((&RESIDENT_MEMORY, resident as f64));
        values.push((&ERRORS, if m.failure.is_some() { 1.0 } else { 0.0 }));
        values.extend(m.values());
        if cold_start {
            values.push((&COLD_START, 1.0));
        }
        values.append(&mut self.init.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
        values.retain(|(_, value)| *value != 0.0);
        values
    }

    fn log(&self, call: &Call, m: &Measurements, took: Duration, resident: u64, cold_start: bool) {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let some_ms = |time: Duration| (!time.is_zero()).then(|| ms(time));
        let some = |count: usize| (count > 0).then_some(count);
        let row = m.failure.as_ref().map(|failure| failure.kind.row());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    requestId = (!call.request_id.is_empty()).then_some(call.request_id.as_str()),
                    xrayTraceId = call.trace.as_deref(),
                    service = self.names.service.as_str(),
                    source = source(m),
                    cold_start,
                    outcome = row.map_or("ok", |row| row.lambda_type),
                    cause = m.failure.as_ref().and_then(|failure| failure.cause.as_deref()),
                    status = m.status,
                    broken_stream = m.has_broken_stream().then_some(true),
                    texts = some(m.texts),
                    tokens = some(m.tokens),
                    truncated = some(m.truncated_count),
                    documents = some(m.documents),
                    skipped = some(m.skipped),
                    unreadable = some(m.unreadable),
                    left_out = (m.left_out > 0).then_some(m.left_out),
                    failed = some(m.failed),
                    unfinished = some(m.unfinished),
                    tokenize_ms = some_ms(m.tokenize),
                    run_ms = some_ms(m.run),
                    encode_ms = some_ms(m.encode),
                    read_ms = some_ms(m.read),
                    write_ms = some_ms(m.write),
                    duration_ms = ms(took),
                    resident_mb = resident >> 20,
                    "invocation"
                )
            };
        }
        match &m.failure {
            Some(failure) if failure.kind.is_fault() => line!(error),
            Some(failure) if failure.kind.row().status >= 429 => line!(warn),
            _ => line!(info),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A call under way; dropping it logs and counts the call.
struct Ending<'a> {
    observer: &'a Observer,
    call: &'a Call,
    started: Instant,
    /// Whether the work has not ended by itself.
    dropped: bool,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if self.dropped {
            let error = match self.observer.stopping.load(Ordering::Relaxed) {
                true => {
                    let message = "the process ended before this call was answered".to_owned();
                    Error::Later { kind: Kind::Stopping, message }
                }
                false => {
                    let gone = "the client no longer waits for the answer";
                    Error::request(Kind::Abandoned, None, gone)
                }
            };
            self.call.meter.fail(&error);
        }
        self.observer.tell(self.call, self.started.elapsed());
    }
}

/// The event's kind; `unknown` if it was not decoded.
fn source(m: &Measurements) -> &'static str {
    if m.source.is_empty() { "unknown" } else { m.source }
}
