//! Limits the calls under way, so that memory stays bounded: a call beyond the limit gets 429 at once.
//!
//! Two limits, both checked before a call's body is read: the number of calls, and the bytes of their bodies. Lambda
//! sends one call at a time, or up to `AWS_LAMBDA_MAX_CONCURRENCY`; `bootstrap serve` gets one from each connection.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Kind, Result};

/// Bodies of the largest size that may be under way together; each needs about five times its size in memory.
const FULL_BODIES: usize = 8;
const KIB: usize = 1024;

/// Admits calls; clones share the limits.
#[derive(Debug, Clone)]
pub struct Admission {
    calls: Arc<Semaphore>,
    limit: usize,
    kib: Arc<Semaphore>,
    kib_limit: usize,
}

/// One admitted call; to be dropped when it is answered.
#[derive(Debug)]
pub struct Permit {
    _call: OwnedSemaphorePermit,
    _kib: OwnedSemaphorePermit,
}

impl Admission {
    /// Admits `calls` calls at once, with bodies of 8 times `body_bytes` together.
    pub fn new(calls: usize, body_bytes: usize) -> Self {
        let kib_limit = (body_bytes.div_ceil(KIB) * FULL_BODIES).min(u32::MAX as usize);
        let (calls, limit) = (Arc::new(Semaphore::new(calls)), calls);
        Self { calls, limit, kib: Arc::new(Semaphore::new(kib_limit)), kib_limit }
    }

    /// Admits a call with a body of `bytes` bytes. A body above the limit of all bodies counts as that limit, so that a
    /// call alone is always admitted.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] beyond a limit.
    pub fn enter(&self, bytes: usize) -> Result<Permit> {
        let full = |what: String| {
            let message = format!("{what} under way already; try again in a moment");
            Error::Later { kind: Kind::Overloaded, message }
        };
        let calls = Arc::clone(&self.calls).try_acquire_owned();
        let _call = calls.map_err(|_| full(format!("{} calls are", self.limit)))?;
        let kib = bytes.div_ceil(KIB).min(self.kib_limit) as u32;
        let kib = Arc::clone(&self.kib).try_acquire_many_owned(kib);
        let _kib = kib.map_err(|_| full(format!("bodies of {} MiB are", self.kib_limit / KIB)))?;
        Ok(Permit { _call, _kib })
    }

    /// Calls under way.
    pub fn calls(&self) -> usize {
        self.limit - self.calls.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_too_many_is_refused_until_another_ends() {
        let admission = Admission::new(2, 1 << 20);
        let (first, _second) = (admission.enter(10).unwrap(), admission.enter(10).unwrap());
        assert_eq!(admission.calls(), 2);
        let error = admission.enter(10).unwrap_err();
        assert_eq!(error.kind(), Kind::Overloaded);
        assert!(error.to_string().contains("2 calls"), "{error}");
        drop(first);
        assert!(admission.enter(10).is_ok());
    }

    #[test]
    fn bodies_are_bounded_together_and_one_alone_never_refused() {
        let admission = Admission::new(100, 1 << 20);
        let held: Vec<_> = (0..FULL_BODIES).map(|_| admission.enter(1 << 20).unwrap()).collect();
        let error = admission.enter(1).unwrap_err();
        assert!(error.to_string().contains("8 MiB"), "{error}");
        assert_eq!(admission.calls(), FULL_BODIES, "a refused call holds no place");
        drop(held);
        assert!(admission.enter(1 << 40).is_ok());
    }
}
