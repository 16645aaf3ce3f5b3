//! Runs long computations on a thread of their own, because one thread drives the I/O of all calls, which would wait.
//!
//! Invariants: work can ask whether its caller still waits ([`Waiting`]) and end early; a panic in it becomes an error
//! that quotes no text.

use std::sync::{Arc, Weak};

use crate::concurrency::panics;
use crate::error::{Error, Kind, Result};

/// JSON of this many bytes or more is written and compressed on another thread: so much takes half a millisecond, and
/// handing the work over takes a fiftieth of one.
pub const FROM_BYTES: usize = 64 * 1024;

/// Tells work whether its caller still waits.
#[derive(Debug)]
pub struct Waiting(Weak<()>);

impl Waiting {
    /// To be called between parts of the work.
    ///
    /// # Errors
    /// The caller is gone, so nobody reads this error.
    pub fn check(&self) -> Result<()> {
        if self.0.strong_count() > 0 {
            return Ok(());
        }
        Err(Error::Later { kind: Kind::Deadline, message: "the call ended before this was done".to_owned() })
    }
}

/// Runs `work` on a thread of its own if it is `long`, else here. `context` is the error's message if it panics there.
///
/// # Errors
/// Those of the work, and [`Kind::Internal`] after a panic.
pub async fn spawn_blocking_if<T: Send + 'static>(
    long: bool,
    context: &'static str,
    work: impl FnOnce(&Waiting) -> Result<T> + Send + 'static,
) -> Result<T> {
    // Dropped with this future.
    let caller = Arc::new(());
    let waiting = Waiting(Arc::downgrade(&caller));
    if !long {
        return work(&waiting);
    }
    // Checked first, because the work may have waited for a thread.
    let begin = move || waiting.check().and_then(|()| work(&waiting));
    let done = tokio::task::spawn_blocking(begin).await;
    drop(caller);
    done.unwrap_or_else(|ended| {
        let panic = ended.try_into_panic();
        let cause = panic.map_or_else(|_| "the process ends".to_owned(), |panic| panics::message(&*panic));
        Err(Error::internal(context, cause))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn only_long_work_leaves_its_thread() {
        let here = std::thread::current().id();
        for long in [false, true] {
            let there =
                block_on(spawn_blocking_if(long, "the test's work", |_| Ok(std::thread::current().id()))).unwrap();
            assert_eq!(there != here, long);
        }
    }

    #[test]
    fn other_calls_go_on_beside_long_work() {
        let (go, gate) = mpsc::channel();
        block_on(async {
            let work = spawn_blocking_if(true, "the test's work", move |_| Ok(gate.recv().unwrap()));
            // Would never be reached if the work held the thread.
            let beside = async { go.send(5).unwrap() };
            assert_eq!(tokio::join!(work, beside).0.unwrap(), 5);
        });
    }

    #[test]
    fn work_learns_that_nobody_waits_any_longer() {
        let (started, begun) = mpsc::channel();
        let (go, gate) = mpsc::channel::<()>();
        let (told, checks) = mpsc::channel();
        block_on(async {
            let work = spawn_blocking_if(true, "the test's work", move |waiting| {
                told.send(waiting.check().is_ok()).unwrap();
                started.send(()).unwrap();
                gate.recv().unwrap();
                told.send(waiting.check().is_ok()).unwrap();
                Ok(())
            });
            // Dropped by the other branch once it has begun.
            tokio::select! {
                biased;
                _ = work => unreachable!("the gate is closed"),
                () = async { while begun.try_recv().is_err() { tokio::task::yield_now().await } } => {}
            }
            go.send(()).unwrap();
        });
        assert_eq!(checks.iter().collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn a_panic_on_another_thread_is_an_error_that_quotes_no_text() {
        let chain = |work: fn() -> Result<()>| {
            let error = block_on(spawn_blocking_if(true, "the test's work", move |_| work())).unwrap_err();
            assert_eq!(error.kind(), Kind::Internal);
            error.chain().to_string()
        };
        assert_eq!(chain(|| panic!("no such place")), "the test's work: no such place");
        let quoting = chain(|| {
            let text = std::hint::black_box("sécret".to_owned());
            Err(Error::internal("never reached", text[..2].to_owned()))
        });
        assert!(quoting.contains("withheld") && !quoting.contains("cret"), "{quoting}");
    }
}
