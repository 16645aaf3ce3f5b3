//! Cold start: independent stages run side by side.
//!
//! ```text
//! this thread      library ─────────┬─> session ─┬─> first run ──> Embedder
//! verify thread    model's sha256 ──┘            │
//! tokenizer thread tokenizer.json ───────────────┘
//! ```
//!
//! The session is built only after the hash is verified, so ONNX Runtime never sees a corrupted byte. With packed weights
//! it takes less time than the tokenizer, which therefore starts at once.

use std::fmt;
use std::sync::Arc;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::Parallelism;
use super::engine::Engine;
use super::session::{MappedFile, Runtime};
use super::tokenizer::Tokenizer;
use super::worker_pool::Pool;
use super::{Embedder, Inner, pooling, self_test};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::model::{FileEntry, ModelFolder};
use crate::observability::metrics;

/// How long each stage of a start took; stages overlap, so they do not add up to `total`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Startup {
    /// Fetching the model from S3; zero for a model in the package.
    pub fetch: Duration,
    pub library: Duration,
    pub verify: Duration,
    pub tokenizer: Duration,
    pub session: Duration,
    /// The first run, see `self_test`.
    pub warm_up: Duration,
    pub total: Duration,
}

impl Startup {
    /// One log line with every stage in milliseconds.
    pub fn log(&self, model: &str) {
        tracing::info!(
            model,
            cold_start = true,
            fetch_ms = ms(self.fetch),
            library_ms = ms(self.library),
            verify_ms = ms(self.verify),
            tokenizer_ms = ms(self.tokenizer),
            session_ms = ms(self.session),
            warm_up_ms = ms(self.warm_up),
            total_ms = ms(self.total),
            "ready"
        );
    }

    /// Every stage under its metric's name.
    pub fn values(&self) -> Vec<metrics::Value> {
        vec![
            (&metrics::INIT, ms(self.total)),
            (&metrics::INIT_FETCH, ms(self.fetch)),
            (&metrics::INIT_LIBRARY, ms(self.library)),
            (&metrics::INIT_VERIFY, ms(self.verify)),
            (&metrics::INIT_TOKENIZER, ms(self.tokenizer)),
            (&metrics::INIT_SESSION, ms(self.session)),
            (&metrics::INIT_WARM_UP, ms(self.warm_up)),
        ]
    }

    fn stages(&self) -> [(&'static str, Duration); 6] {
        [
            ("fetch", self.fetch),
            ("library", self.library),
            ("verify", self.verify),
            ("tokenizer", self.tokenizer),
            ("session", self.session),
            ("warm-up", self.warm_up),
        ]
    }
}

/// For people: `52 ms (library 21, verify 18, tokenizer 17, session 30)`.
impl fmt::Display for Startup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let taken = self.stages().into_iter().filter(|(_, took)| !took.is_zero());
        let parts: Vec<_> = taken.map(|(stage, took)| format!("{stage} {:.0}", ms(took))).collect();
        write!(f, "{:.0} ms ({})", ms(self.total), parts.join(", "))
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

impl Embedder {
    /// Loads the configured library and the model in `folder`.
    ///
    /// # Errors
    /// The first thing that is missing or wrong; the message says what to do.
    pub fn open(config: &Config, folder: &ModelFolder) -> Result<(Self, Startup)> {
        let started = Instant::now();
        let files = &folder.manifest.files;
        let graph = Arc::new(map(folder, &files.model)?);
        let mut startup = Startup::default();
        let (tokenizer, engine) = std::thread::scope(|scope| {
            let verify = scope.spawn(|| {
                timed(|| {
                    let checked = folder.check(&files.model, graph.bytes());
                    graph.forget();
                    checked
                })
            });
            {
                let tokenizer = scope.spawn(|| timed(|| load_tokenizer(folder)));
                let (runtime, took) = timed(|| Runtime::load(&config.ort_lib));
                startup.library = took;
                let (checked, took) = join(verify);
                startup.verify = took;
                let (engine, took) = timed(|| {
                    checked?;
                    let engine = Engine::new(runtime?, Arc::clone(&graph), config.threads);
                    engine.map_err(|message| folder.unusable(message))
                });
                startup.session = took;
                let (tokenizer, took) = join(tokenizer);
                startup.tokenizer = took;
                (tokenizer, engine)
            }
        });
        let (tokenizer, engine) = (tokenizer?, engine?);
        let manifest = folder.manifest.clone();
        let (pooling, dimensions) = (manifest.pooling, manifest.dimensions);
        let run = move |ids: &[u32], parallelism| {
            let vector = pooling::pool(engine.run(ids, parallelism)?, pooling);
            match vector.len() == dimensions && vector.iter().all(|value| value.is_finite()) {
                true => Ok(vector),
                false => Err(unexpected_output(vector.len(), dimensions)),
            }
        };
        let (first, took) = timed(|| {
            run(&tokenizer.add_special_tokens(&tokenizer.encode(self_test::text(folder))?), Parallelism::IntraOp)
        });
        self_test::check(folder, &first?)?;
        startup.warm_up = took;
        let pool =
            Pool::start(config.threads, run).map_err(|e| Error::internal("the worker threads do not start", e))?;
        startup.total = started.elapsed();
        Ok((Self(Arc::new(Inner { manifest, tokenizer, pool })), startup))
    }
}

fn map(folder: &ModelFolder, entry: &FileEntry) -> Result<MappedFile> {
    let file = folder.open_file(entry)?;
    MappedFile::map(&file).map_err(|e| folder.unusable(format!("{} cannot be mapped: {e}", entry.path)))
}

fn load_tokenizer(folder: &ModelFolder) -> Result<Tokenizer> {
    let entry = &folder.manifest.files.tokenizer;
    let json = map(folder, entry)?;
    folder.check(entry, json.bytes())?;
    let tokenizer = Tokenizer::from_json(json.bytes()).map_err(|message| folder.unusable(message))?;
    if tokenizer.special_token_count() >= folder.manifest.max_tokens {
        return Err(folder.unusable("max_tokens leaves no room for a text beside the special tokens"));
    }
    Ok(tokenizer)
}

fn unexpected_output(found: usize, dimensions: usize) -> Error {
    let cause = format!("{found} values, finite or not, where the manifest promises {dimensions} finite ones");
    Error::internal("the model returned no usable vector", cause)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let started = Instant::now();
    let done = work();
    (done, started.elapsed())
}

/// A scoped thread's result; a panic of that thread continues in this one.
fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
