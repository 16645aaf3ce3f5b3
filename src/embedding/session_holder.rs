//! A place for one session that replaces it after a run that failed.
//!
//! A run that panicked or that ONNX Runtime ended with an error may have left its session in any state, so no
//! later text runs on it: the next one that asks gets a session that is built anew over the same mapped
//! weights, in about the time of a cold start's session stage. Runs under way on the old one end on it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{Error, Result};

/// A session, or room for one.
pub struct SessionHolder<S> {
    session: Mutex<Option<Arc<S>>>,
    /// Counts the sessions that were given up; the slots of an engine share it.
    discarded: Arc<AtomicUsize>,
}

impl<S> SessionHolder<S> {
    pub fn new(session: S, discarded: Arc<AtomicUsize>) -> Self {
        Self { session: Mutex::new(Some(Arc::new(session))), discarded }
    }

    /// Runs `run` on the session, which `build` makes where there is none.
    ///
    /// # Errors
    /// The run's own, after which this session is not used again; `build`'s sentence on what is wrong.
    pub fn run<T>(&self, build: impl FnOnce() -> Result<S, String>, run: impl FnOnce(&S) -> Result<T>) -> Result<T> {
        let session = self.get(build)?;
        let mut guard = DiscardGuard { holder: self, session: &session, succeeded: false };
        let outcome = run(&session);
        guard.succeeded = outcome.is_ok();
        outcome
    }

    fn get(&self, build: impl FnOnce() -> Result<S, String>) -> Result<Arc<S>> {
        let mut place = self.lock();
        if let Some(session) = place.as_ref() {
            return Ok(Arc::clone(session));
        }
        // Under the lock: others that want it wait for this one instead of building their own.
        let session = build().map(Arc::new).map_err(|cause| Error::internal("no session can be built", cause))?;
        *place = Some(Arc::clone(&session));
        Ok(session)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<S>>> {
        // A build that panicked leaves the place empty, which is right.
        self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Gives a session up when it is dropped, by a panic as well, unless it was succeeded.
struct DiscardGuard<'a, S> {
    holder: &'a SessionHolder<S>,
    session: &'a Arc<S>,
    succeeded: bool,
}

impl<S> Drop for DiscardGuard<'_, S> {
    fn drop(&mut self) {
        if self.succeeded {
            return;
        }
        let mut place = self.holder.lock();
        // Another run may have replaced it already.
        if place.as_ref().is_some_and(|session| Arc::ptr_eq(session, self.session)) {
            *place = None;
            self.holder.discarded.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// A holder whose sessions are numbered from 1 in the order of their making.
    fn holder() -> (SessionHolder<usize>, Arc<AtomicUsize>, impl Fn() -> Result<usize, String>) {
        let (discarded, made) = (Arc::new(AtomicUsize::new(0)), AtomicUsize::new(1));
        let build = move || Ok(made.fetch_add(1, Ordering::Relaxed) + 1);
        (SessionHolder::new(1, Arc::clone(&discarded)), discarded, build)
    }

    #[test]
    fn a_session_that_works_is_kept() {
        let (holder, discarded, build) = holder();
        for _ in 0..3 {
            assert_eq!(holder.run(&build, |&session| Ok(session)).unwrap(), 1);
        }
        assert_eq!(discarded.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_failed_run_costs_the_session() {
        let (holder, discarded, build) = holder();
        assert!(holder.run(&build, |_| Err::<(), _>(Error::internal("a fault", "inside"))).is_err());
        assert_eq!(holder.run(&build, |&session| Ok(session)).unwrap(), 2);
        assert_eq!(discarded.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_panic_costs_the_session_and_no_lock() {
        let (holder, discarded, build) = holder();
        let panicking = catch_unwind(AssertUnwindSafe(|| holder.run(&build, |_| -> Result<()> { panic!("inside") })));
        assert!(panicking.is_err());
        assert_eq!(holder.run(&build, |&session| Ok(session)).unwrap(), 2);
        assert_eq!(discarded.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_late_failure_does_not_cost_the_new_session() {
        let (holder, discarded, build) = holder();
        let outcome = holder.run(&build, |_| {
            // Another run on the same session fails first, and a third one brings the next session.
            holder.run(&build, |_| Err::<(), _>(Error::internal("a fault", "inside"))).unwrap_err();
            assert_eq!(holder.run(&build, |&session| Ok(session)).unwrap(), 2);
            Err::<(), _>(Error::internal("a fault", "inside"))
        });
        assert!(outcome.is_err());
        assert_eq!(holder.run(&build, |&session| Ok(session)).unwrap(), 2);
        assert_eq!(discarded.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_cannot_be_built_is_tried_again() {
        let (holder, _, build) = holder();
        assert!(holder.run(&build, |_| Err::<(), _>(Error::internal("a fault", "inside"))).is_err());
        let error = holder.run(|| Err("no memory".to_owned()), |_| Ok(())).unwrap_err();
        assert!(error.chain().to_string().contains("no memory"));
        assert_eq!(holder.run(&build, |&session| Ok(session)).unwrap(), 2);
    }
}
