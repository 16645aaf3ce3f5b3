//! Worker threads that run sequences side by side, fairly between requests.
//!
//! ```text
//! run([sequence, sequence, …])  ->  queue of batches  ->  worker: the next sequence, chosen by `scheduler`
//! ```
//!
//! A sequence is one run of the model. Invariants:
//! - a request of one text waits only for the runs under way, however many texts another request has;
//! - a batch is dropped at its next sequence once its caller has gone away;
//! - a panic in a run fails its batch and no other, and the worker continues.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Parallelism;
use super::latency::LatencyEstimator;
use super::scheduler::{Batch, Queue};
use crate::concurrency::panics;
use crate::error::{Error, Result};

/// One run: token ids in, vector out.
type Run = dyn Fn(&[u32], Parallelism) -> Result<Vec<f32>> + Send + Sync;

/// Threads that wait for sequences; they end when the pool is dropped.
pub struct Pool {
    shared: Arc<Shared>,
    threads: usize,
}

struct Shared {
    pool_state: Mutex<PoolState>,
    wake: Condvar,
    run: Box<Run>,
}

#[derive(Default)]
struct PoolState {
    queue: Queue<Arc<Completion>>,
    /// The number of runs under way.
    running: usize,
    /// The number of runs that have ended.
    runs: u64,
    latency: LatencyEstimator,
    closed: bool,
}

/// A sequence that a worker is about to run.
struct Sequence {
    index: usize,
    ids: Vec<u32>,
    parallelism: Parallelism,
    completion: Arc<Completion>,
}

/// The outcome of a batch, filled in by the workers.
struct Completion {
    state: Mutex<CompletionState>,
}

struct CompletionState {
    vectors: Vec<Option<Vec<f32>>>,
    remaining: usize,
    /// `None` once the outcome is sent.
    caller: Option<oneshot::Sender<Result<Vec<Vec<f32>>>>>,
}

impl Pool {
    /// Starts `threads` workers that call `run`.
    pub fn start(
        threads: usize,
        run: impl Fn(&[u32], Parallelism) -> Result<Vec<f32>> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared { pool_state: Mutex::default(), wake: Condvar::new(), run: Box::new(run) });
        // On an early return the pool is dropped, which ends the workers started so far.
        let pool = Self { shared, threads };
        for worker in 0..threads {
            let shared = Arc::clone(&pool.shared);
            std::thread::Builder::new().name(format!("embed-{worker}")).spawn(move || shared.run_worker())?;
        }
        Ok(pool)
    }

    /// Runs every sequence; the vectors come back in the sequences' order.
    ///
    /// # Errors
    /// The first failed run's error; the rest of the batch does not run then.
    pub async fn run(&self, sequences: Vec<Vec<u32>>) -> Result<Vec<Vec<f32>>> {
        if sequences.is_empty() {
            return Ok(Vec::new());
        }
        let (caller, outcome) = oneshot::channel();
        let state =
            CompletionState { vectors: vec![None; sequences.len()], remaining: sequences.len(), caller: Some(caller) };
        let completion = Arc::new(Completion { state: Mutex::new(state) });
        lock(&self.shared.pool_state).queue.push(Batch::new(sequences, completion));
        self.shared.wake.notify_all();
        outcome.await.unwrap_or_else(|gone| Err(Error::internal("the worker threads have ended", gone)))
    }

    /// The estimated time for `runs` runs of `tokens` tokens in all, behind the work that already waits, if it exceeds
    /// `limit`. The caller then rejects the request. `None` if the time suffices or too little has run for an estimate.
    pub fn estimate_beyond(&self, tokens: usize, runs: usize, limit: Duration) -> Option<Duration> {
        let mut pool_state = lock(&self.shared.pool_state);
        let runs = if pool_state.running == 0 && pool_state.queue.is_empty() { runs } else { runs.max(2) };
        let expected = pool_state.latency.estimate(pool_state.queue.tokens_until(tokens), runs, self.threads);
        let expected = expected.filter(|expected| *expected > limit)?;
        pool_state.latency.record_rejection();
        Some(expected)
    }

    /// The number of runs that have ended.
    pub fn runs(&self) -> u64 {
        lock(&self.shared.pool_state).runs
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        lock(&self.shared.pool_state).closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn run_worker(&self) {
        while let Some(Sequence { index, ids, parallelism, completion }) = self.next_sequence() {
            let started = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| (self.run)(&ids, parallelism)))
                .unwrap_or_else(|panic| Err(Error::internal("a text's run panicked", panics::message(&*panic))));
            {
                let mut pool_state = lock(&self.pool_state);
                (pool_state.running, pool_state.runs) = (pool_state.running - 1, pool_state.runs + 1);
                // If the caller has gone, Lambda may have frozen the process during the run; see `latency`.
                if outcome.is_ok() && completion.wanted() {
                    pool_state.latency.record(parallelism, ids.len(), started.elapsed());
                }
            }
            completion.finish(index, outcome);
        }
    }

    /// Waits for a sequence; `None` when the pool was dropped.
    fn next_sequence(&self) -> Option<Sequence> {
        let mut pool_state = lock(&self.pool_state);
        while !pool_state.closed {
            if let Some((index, ids, completion)) = pool_state.queue.pop(|completion| completion.wanted()) {
                let alone = pool_state.running == 0 && pool_state.queue.is_empty();
                pool_state.running += 1;
                let parallelism = if alone { Parallelism::IntraOp } else { Parallelism::InterOp };
                return Some(Sequence { index, ids, parallelism, completion });
            }
            pool_state = self.wake.wait(pool_state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        None
    }
}

impl Completion {
    /// Whether the caller still waits and no run of the batch has failed.
    fn wanted(&self) -> bool {
        lock(&self.state).caller.as_ref().is_some_and(|caller| !caller.is_closed())
    }

    fn finish(&self, index: usize, outcome: Result<Vec<f32>>) {
        let mut state = lock(&self.state);
        match outcome {
            Ok(vector) => {
                state.vectors[index] = Some(vector);
                state.remaining -= 1;
                if state.remaining == 0 {
                    let vectors = state.vectors.drain(..).flatten().collect();
                    state.send(Ok(vectors));
                }
            }
            Err(error) => state.send(Err(error)),
        }
    }
}

impl CompletionState {
    fn send(&mut self, outcome: Result<Vec<Vec<f32>>>) {
        if let Some(caller) = self.caller.take() {
            // Sending fails if the caller has gone away, and then nobody needs the outcome.
            let _ = caller.send(outcome);
        }
    }
}

/// Locks, even if poisoned: the guarded data is consistent after every statement, and runs panic outside the locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn length(ids: &[u32], _: Parallelism) -> Result<Vec<f32>> {
        match ids {
            [13, ..] => panic!("unlucky"),
            [14, ..] => Err(Error::request(crate::error::Kind::Invalid, None, "fourteen")),
            _ => Ok(vec![ids.len() as f32]),
        }
    }

    #[test]
    fn vectors_come_back_in_the_order_of_their_sequences() {
        let pool = Pool::start(3, length).unwrap();
        let sequences = vec![vec![1; 2], vec![1; 9], vec![1; 4], vec![1; 1]];
        assert_eq!(block_on(pool.run(sequences)).unwrap(), [[2.0], [9.0], [4.0], [1.0]]);
        assert!(block_on(pool.run(vec![])).unwrap().is_empty());
    }

    #[test]
    fn a_panic_fails_its_batch_and_no_other() {
        let pool = Pool::start(1, length).unwrap();
        let error = block_on(pool.run(vec![vec![1], vec![13], vec![2]])).unwrap_err();
        assert!(error.chain().to_string().contains("unlucky"), "{}", error.chain());
        assert_eq!(block_on(pool.run(vec![vec![1, 1]])).unwrap(), [[2.0]]);
    }

    #[test]
    fn a_failed_run_gives_its_error() {
        let pool = Pool::start(2, length).unwrap();
        assert_eq!(block_on(pool.run(vec![vec![1], vec![14]])).unwrap_err().to_string(), "fourteen");
    }

    #[test]
    fn a_single_text_does_not_wait_for_a_long_list() {
        let (started, order) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let pool = Pool::start(1, move |ids: &[u32], _| {
            started.send(ids[0]).unwrap();
            gate.lock().unwrap().recv().unwrap();
            Ok(vec![0.0])
        })
        .unwrap();
        block_on(async {
            let list = pool.run((0..5).map(|_| vec![1]).collect());
            let single = pool.run(vec![vec![2]]);
            let feed = async {
                for _ in 0..6 {
                    tokio::task::yield_now().await;
                    go.send(()).unwrap();
                }
            };
            let (list, single, ()) = tokio::join!(list, single, feed);
            assert_eq!((list.unwrap().len(), single.unwrap().len()), (5, 1));
        });
        let order: Vec<u32> = order.try_iter().collect();
        let place = order.iter().position(|&first| first == 2).unwrap();
        assert!(place <= 1, "the single text ran at place {place} of {order:?}");
    }

    #[test]
    fn a_lone_text_is_told_apart_from_one_of_many() {
        let (sender, observed) = mpsc::channel();
        let pool = Pool::start(1, move |_: &[u32], parallelism| {
            sender.send(parallelism).unwrap();
            Ok(vec![0.0])
        })
        .unwrap();
        block_on(pool.run(vec![vec![1]])).unwrap();
        block_on(pool.run(vec![vec![1]; 3])).unwrap();
        let observed: Vec<_> = observed.try_iter().collect();
        // The last of a list has the cores to itself again.
        assert_eq!(observed, [Parallelism::IntraOp, Parallelism::InterOp, Parallelism::InterOp, Parallelism::IntraOp]);
    }

    #[test]
    fn a_batch_whose_caller_went_away_is_dropped() {
        let (started, seen) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let pool = Pool::start(1, move |ids: &[u32], _| {
            started.send(ids[0]).unwrap();
            gate.lock().unwrap().recv().unwrap();
            Ok(vec![0.0])
        })
        .unwrap();
        block_on(async {
            let mut abandoned = Box::pin(pool.run(vec![vec![7], vec![7], vec![7]]));
            assert!(futures_poll_once(&mut abandoned).await.is_none());
            drop(abandoned);
            go.send(()).unwrap();
            go.send(()).unwrap();
            pool.run(vec![vec![8]]).await.unwrap();
        });
        let runs = seen.try_iter().filter(|&first| first == 7).count();
        assert!(runs <= 1, "{runs} sequences of an abandoned batch ran");
    }

    #[test]
    fn a_run_that_outlasts_its_caller_is_not_measured() {
        let (go, gate) = mpsc::channel::<()>();
        let gate = Mutex::new(gate);
        let pool = Pool::start(1, move |_: &[u32], _| {
            gate.lock().unwrap().recv().unwrap();
            Ok(vec![0.0])
        })
        .unwrap();
        let estimated = |pool: &Pool| pool.estimate_beyond(1_000, 1, Duration::ZERO).is_some();
        block_on(async {
            let mut abandoned = Box::pin(pool.run(vec![vec![1; 1_000]]));
            assert!(futures_poll_once(&mut abandoned).await.is_none());
            while lock(&pool.shared.pool_state).running == 0 {
                tokio::task::yield_now().await;
            }
            drop(abandoned);
            go.send(()).unwrap();
            go.send(()).unwrap();
            pool.run(vec![vec![1]]).await.unwrap();
            assert_eq!((pool.runs(), estimated(&pool)), (2, false));
            go.send(()).unwrap();
            pool.run(vec![vec![1; 1_000]]).await.unwrap();
            assert!(estimated(&pool));
        });
    }

    #[test]
    fn a_rejection_makes_the_next_estimate_shorter() {
        let pool = Pool::start(1, |_: &[u32], _| {
            std::thread::sleep(Duration::from_millis(5));
            Ok(vec![0.0])
        })
        .unwrap();
        block_on(pool.run(vec![vec![1; 1_000]])).unwrap();
        let first = pool.estimate_beyond(1_000, 1, Duration::ZERO).unwrap();
        assert!(pool.estimate_beyond(1_000, 1, Duration::ZERO).unwrap() < first);
        let second = pool.estimate_beyond(1_000, 1, Duration::ZERO).unwrap();
        assert_eq!(pool.estimate_beyond(1_000, 1, Duration::from_secs(3600)), None);
        // Nothing was rejected that time.
        assert!(pool.estimate_beyond(1_000, 1, Duration::ZERO).unwrap() > second.mul_f64(0.7));
    }

    async fn futures_poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
