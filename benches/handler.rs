//! The time from event to reply besides the model: a 16-token query through decode, embed and encode, against a bare
//! run of an equal session. Bar: at most 10 % more.
//!
//! Criterion measures one after the other by the clock, with its statistics. On a machine that others use too, the
//! clock says more about them than about us. So the verdict comes from runs that take turns, and from the processor
//! time of all threads of this process: the median of many blocks, because other users of the machine slow some of them.
//! Runs have one thread each, because waiting threads spin if there are two.
//! Processor time leaves out the hand-over to the worker and back, some tens of microseconds. `--verdict` prints the
//! verdict alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::Criterion;
use lambda_embed::app;
use lambda_embed::config::{Config, Verify};
use lambda_embed::embedding::Embedder;
use lambda_embed::embedding::session::{MappedFile, Runtime, TextSession};
use lambda_embed::handler::Handler;
use lambda_embed::model::ModelFolder;
use lambda_embed::observability::call::Call;
use serde_json::json;

const QUERY: &str = "how long does a cold start take when the model is very small?";
const TURNS: usize = 800;
/// Runs between two readings of the processor time, which the kernel updates once a tick of some milliseconds.
const BLOCK: usize = 50;
const BAR: f64 = 0.10;

struct Pair {
    handler: Handler,
    session: TextSession,
    ids: Vec<u32>,
    event: Vec<u8>,
    runtime: tokio::runtime::Runtime,
}

impl Pair {
    fn open(threads: usize) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let model = root.join("models/bge-small-en-v1.5");
        assert!(model.join("manifest.json").is_file(), "{} is missing: run `make model`", model.display());
        let library = root.join("target/runtime").join(std::env::consts::ARCH).join("libonnxruntime.so");
        let variables = [
            ("EMBED_MODEL_DIR", model.display().to_string()),
            ("EMBED_ORT_LIB", library.display().to_string()),
            ("EMBED_THREADS", threads.to_string()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        let config = Arc::new(Config::resolve(variables, &root).expect("the configuration is right"));
        let folder = ModelFolder::open(&config.model_dir, Verify::Sizes).expect("a model folder");
        let (embedder, _) = Embedder::open(&config, &folder).expect("the model loads");
        let ids: Vec<_> =
            embedder.tokens(QUERY, true, |_| Ok(true)).expect("tokens").iter().map(|token| token.id).collect();
        assert_eq!(ids.len(), 16, "the query has 16 tokens");
        let file = folder.open_file(&folder.manifest.files.model).expect("the graph");
        let graph = Arc::new(MappedFile::map(&file).expect("the graph is mapped"));
        let runtime = Runtime::load(&library).expect("the library");
        let session = TextSession::build(&runtime, graph, threads).expect("a session");
        let event = json!({
            "version": "2.0", "rawPath": "/v1/embeddings", "rawQueryString": "",
            "headers": {"content-type": "application/json", "accept-encoding": "gzip", "host": "localhost"},
            "requestContext": {"stage": "$default", "http": {"method": "POST", "path": "/v1/embeddings"}},
            "body": json!({"input": QUERY}).to_string(), "isBase64Encoded": false,
        });
        let (handler, _) = app::open(config).expect("the handler opens");
        println!("{} on {threads} threads", handler.model());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { handler, session, ids, event: event.to_string().into_bytes(), runtime }
    }

    fn bare(&self) -> usize {
        self.session.run(&self.ids).expect("a run").values.len()
    }

    fn handled(&self) -> usize {
        self.runtime.block_on(self.handler.handle(&self.event, &Call::default())).expect("an answer").get().len()
    }

    /// The times of runs that take turns, bare and the whole way: the median of all by the clock, and each block's mean
    /// by the processor.
    fn in_turns(&self) -> [(Duration, Vec<Duration>); 2] {
        let ways: [&dyn Fn() -> usize; 2] = [&|| self.bare(), &|| self.handled()];
        let mut clock = [Vec::with_capacity(TURNS), Vec::with_capacity(TURNS)];
        let mut processor = [Vec::new(), Vec::new()];
        for _ in 0..TURNS / BLOCK {
            for (way, run) in ways.iter().enumerate() {
                let before = processor_time();
                for _ in 0..BLOCK {
                    let started = Instant::now();
                    std::hint::black_box(run());
                    clock[way].push(started.elapsed());
                }
                processor[way].push(processor_time().saturating_sub(before) / BLOCK as u32);
            }
        }
        [0, 1].map(|way| (median(&clock[way]), std::mem::take(&mut processor[way])))
    }
}

fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    sorted[sorted.len() / 2]
}

/// The processor time of all threads of this process so far, in nanoseconds as the kernel counts it.
fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let of = |thread: std::fs::DirEntry| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0)
    };
    Duration::from_nanos(threads.map(of).sum())
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    // `cargo test --all-targets` builds benches and runs them only to see that they start.
    let verdict_only = arguments.iter().any(|argument| argument == "--verdict");
    let mut passed = true;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in if threads > 1 { vec![1, threads] } else { vec![1] } {
        let pair = Pair::open(threads);
        if !verdict_only {
            let mut criterion = Criterion::default().configure_from_args();
            let mut group = criterion.benchmark_group(format!("16 tokens, {threads} threads"));
            group.bench_function("bare session run", |b| b.iter(|| pair.bare()));
            group.bench_function("event to reply", |b| b.iter(|| pair.handled()));
            group.finish();
        }
        let [(bare, bare_blocks), (handled, handled_blocks)] = pair.in_turns();
        let more = |bare: Duration, handled: Duration| handled.as_secs_f64() / bare.as_secs_f64() - 1.0;
        let line = |name: &str, bare: Duration, handled: Duration, more: f64| {
            println!("{name}: bare {bare:.2?}, event to reply {handled:.2?}, {:+.1} %", more * 100.0);
        };
        line("clock, median", bare, handled, more(bare, handled));
        if threads == 1 {
            let ratios: Vec<_> = bare_blocks.iter().zip(&handled_blocks).map(|(&a, &b)| more(a, b)).collect();
            line("processor, median", median(&bare_blocks), median(&handled_blocks), median(&ratios));
            passed = median(&ratios) <= BAR;
        }
    }
    if !passed {
        eprintln!("the way beside the model costs more than {:.0} %", BAR * 100.0);
        std::process::exit(1);
    }
}
