//! How long and how often a transfer is tried again.
//!
//! What counts is the time since trouble began, over all transfers of one fetch: any new byte ends the
//! error, because a slow fetch is not a failing one. Delays double from attempt to attempt and are
//! spread at random, so that a thousand functions that start together do not come back together.
//!
//! Lambda stops an init after 10 s. StoreError from the first moment on is given up after at most
//! `answer + trouble` = 7.5 s, so that the start still has time to fail with its cause instead of being
//! cut off without one.

use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::RetryPolicy;
use crate::error::StoreError;

/// What fits into the 10 s of Lambda's init: trouble counts without one new byte, an answer's head and each further
/// chunk are waited for. S3 answers within 0.2 s as a rule and AWS advises to ask again rather than to wait longer.
pub const INIT_RETRY_POLICY: RetryPolicy = RetryPolicy {
    give_up_after: Duration::from_millis(5_000),
    response_timeout: Duration::from_millis(2_500),
    first_delay: Duration::from_millis(50),
    max_delay: Duration::from_millis(1_000),
};

/// The policy of one fetch, shared by its transfers.
pub struct Retry {
    policy: RetryPolicy,
    trouble_since: Mutex<Option<Instant>>,
}

impl Retry {
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, trouble_since: Mutex::new(None) }
    }

    /// New bytes came: whatever was wrong is over.
    pub fn made_progress(&self) {
        *self.since() = None;
    }

    /// Waits for `answer` as long as an answer may take; `silence` says what it is when none comes.
    pub async fn in_time<T>(
        &self,
        silence: &str,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let left = self.since().map(|since| self.policy.give_up_after.saturating_sub(since.elapsed()));
        let limit = left.map_or(self.policy.response_timeout, |left| left.min(self.policy.response_timeout));
        match tokio::time::timeout(limit, answer).await {
            Ok(answered) => answered,
            Err(_) => Err(StoreError::retryable(format!("{silence} within {:.1} s", limit.as_secs_f32()))),
        }
    }

    /// Returns after the delay before another attempt; `attempt` counts this transfer's failures in a row.
    ///
    /// # Errors
    /// The trouble itself, when it stays or has lasted too long.
    pub async fn again(&self, attempt: &mut u32, mut error: StoreError) -> Result<(), StoreError> {
        if !error.retryable {
            return Err(error);
        }
        let since = *self.since().get_or_insert_with(Instant::now);
        let delay = self.policy.delay(*attempt);
        *attempt += 1;
        if since.elapsed() + delay >= self.policy.give_up_after {
            error.message =
                format!("{}; given up after {:.1} s without a new byte", error.message, since.elapsed().as_secs_f32());
            return Err(error);
        }
        tracing::debug!(attempt, delay_ms = delay.as_millis() as u64, "asking S3 again: {}", error.message);
        tokio::time::sleep(delay).await;
        Ok(())
    }

    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.trouble_since.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn policy() -> RetryPolicy {
        RetryPolicy { give_up_after: MS * 60, response_timeout: MS * 20, first_delay: MS * 4, max_delay: MS * 16 }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn unbroken_trouble_is_given_up_with_its_cause() {
        let retry = Retry::new(policy());
        let started = Instant::now();
        let (attempts, error) = block_on(async {
            let mut attempt = 0;
            loop {
                if let Err(error) = retry.again(&mut attempt, StoreError::retryable("503")).await {
                    return (attempt, error);
                }
            }
        });
        assert!(error.message.starts_with("503; given up after"), "{}", error.message);
        assert!(attempts >= 2 && started.elapsed() < MS * 900, "{attempts} in {:?}", started.elapsed());
    }

    #[test]
    fn a_new_byte_ends_the_trouble() {
        let retry = Retry::new(policy());
        block_on(async {
            for _ in 0..4 {
                tokio::time::sleep(MS * 25).await;
                assert!(retry.again(&mut 0, StoreError::retryable("reset")).await.is_ok());
                retry.made_progress();
            }
        });
    }

    #[test]
    fn silence_is_trouble() {
        let retry = Retry::new(policy());
        let error = block_on(retry.in_time("no answer", std::future::pending::<Result<(), _>>())).unwrap_err();
        assert!(error.retryable && error.message.starts_with("no answer within 0.0 s"), "{}", error.message);
    }

    #[test]
    fn what_stays_is_not_tried_again() {
        let retry = Retry::new(policy());
        assert!(block_on(retry.again(&mut 0, StoreError::permanent("denied"))).is_err());
    }
}
