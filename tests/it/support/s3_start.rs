//! Starts of the real binary whose model is in S3.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::harness::{handler, invoke, output, root, vectors};
use crate::support::s3_server::Bucket;

/// Lambda ends an init after this time; a start has to report its error before.
pub const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A cache folder of a test's own; removed when dropped.
pub struct Cache(pub PathBuf);

impl Cache {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("lambda-embed-cache-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    /// Every file below whose name ends so.
    pub fn files(&self, end: &str) -> Vec<PathBuf> {
        let list = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let files = list(&self.0).flat_map(|folder| list(&folder).collect::<Vec<_>>());
        files.filter(|path| path.to_string_lossy().ends_with(end)).collect()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One start of the real binary on one event.
pub struct Run {
    pub outcome: Result<Value, String>,
    pub took: Duration,
}

/// The event that every start here answers.
fn event_file() -> PathBuf {
    root().join("events/direct-tei.json")
}

pub fn run(command: &mut Command, cache: &Cache) -> Run {
    let started = Instant::now();
    let (succeeded, printed, error) = output(command.env("EMBED_CACHE_DIR", &cache.0).arg("invoke").arg(event_file()));
    let outcome = match succeeded {
        true => Ok(serde_json::from_str(&printed).unwrap()),
        false => Err(error),
    };
    Run { outcome, took: started.elapsed() }
}

/// A start whose S3 is `endpoint`.
pub fn start(bucket: &Bucket, endpoint: &str, cache: &Cache) -> Run {
    run(bucket.command(endpoint).env("EMBED_LOG", "error"), cache)
}

impl Run {
    /// The answer must equal the one with `model`'s local folder, to the bit.
    pub fn answers_as(self, model: &Path) {
        let event = serde_json::from_slice(&std::fs::read(event_file()).unwrap()).unwrap();
        let expected = vectors(&invoke(&handler(model, &[]), &event)["embeddings"]);
        let reply = self.outcome.expect("the start succeeds");
        assert_eq!(vectors(&reply["embeddings"]), expected);
    }

    /// It must have failed in time, with one line that has these words.
    pub fn fails_with(self, words: &[&str]) {
        let error = self.outcome.expect_err("the start fails");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.starts_with("error: s3://"), "{error}");
        for word in words {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
        assert!(self.took < INIT_LIMIT, "{:?}: {error}", self.took);
    }
}
