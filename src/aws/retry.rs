//! When to try a request again, after which pause, and when to give up.
//!
//! The limit is the time since the first failure without progress, over all requests that share a [`Retry`]: progress
//! resets it, because a slow transfer is not a failing one. Pauses double from attempt to attempt and are partly
//! random, so that a thousand functions that fail together do not retry together.

use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::StoreError;

/// How long to wait and how long to try.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// How long attempts may fail without progress before the request fails.
    pub give_up_after: Duration,
    /// Wait for an answer; then the attempt counts as failed.
    pub response_timeout: Duration,
    /// The first pause before another attempt; doubled each time.
    pub first_delay: Duration,
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// Between half and all of the doubled pause, at random; `attempt` counts from 0.
    pub fn delay(&self, attempt: u32) -> Duration {
        let doubled = self.first_delay.saturating_mul(1 << attempt.min(16));
        doubled.min(self.max_delay).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// A policy at work, shared by requests that succeed or fail together.
pub struct Retry {
    policy: RetryPolicy,
    /// When the first attempt since the last progress failed, and how many failed since then.
    failures: Mutex<Option<(Instant, u32)>>,
}

impl Retry {
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, failures: Mutex::new(None) }
    }

    /// New bytes came: whatever was wrong is over.
    pub fn made_progress(&self) {
        *self.failures() = None;
    }

    /// Waits for `answer` as long as an answer may take; `silence` says what it is when none comes.
    pub async fn in_time<T>(
        &self,
        silence: &str,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let timeout = self.policy.response_timeout;
        let left = self.failures().map(|(since, _)| self.policy.give_up_after.saturating_sub(since.elapsed()));
        // Even the last attempt has a quarter of the time: one that is cut off sooner would report silence in place of
        // the server's own answer.
        let limit = left.map_or(timeout, |left| left.clamp(timeout / 4, timeout));
        match tokio::time::timeout(limit, answer).await {
            Ok(answered) => answered,
            Err(_) => Err(StoreError::retryable(format!("{silence} within {:.1} s", limit.as_secs_f32()))),
        }
    }

    /// Makes a request until it succeeds.
    ///
    /// # Errors
    /// Those of [`again`](Self::again).
    pub async fn run<T, F>(&self, once: impl Fn() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut attempt = 0;
        loop {
            match once().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.again(&mut attempt, error).await?,
            }
        }
    }

    /// Returns after the pause before another attempt. `attempt` counts this request's failures in a row.
    ///
    /// # Errors
    /// `error` itself, if it is permanent or attempts have failed for too long.
    pub async fn again(&self, attempt: &mut u32, mut error: StoreError) -> Result<(), StoreError> {
        if !error.retryable {
            return Err(error);
        }
        let (since, attempts) = {
            let mut failures = self.failures();
            let (since, attempts) = failures.get_or_insert_with(|| (Instant::now(), 0));
            *attempts += 1;
            (*since, *attempts)
        };
        let pause = self.policy.delay(*attempt).max(error.retry_after.unwrap_or_default());
        *attempt += 1;
        let elapsed = since.elapsed();
        if elapsed + pause >= self.policy.give_up_after {
            let seconds = elapsed.as_secs_f32();
            error.message = format!("{}; given up after {attempts} attempts in {seconds:.1} s", error.message);
            return Err(error);
        }
        // Without the message, which may quote a record.
        tracing::debug!(attempt, pause_ms = pause.as_millis() as u64, "asking again");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn failures(&self) -> MutexGuard<'_, Option<(Instant, u32)>> {
        self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn policy() -> RetryPolicy {
        RetryPolicy { give_up_after: MS * 60, response_timeout: MS * 20, first_delay: MS * 4, max_delay: MS * 16 }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn requests_that_keep_failing_are_given_up_with_their_cause() {
        let retry = Retry::new(policy());
        let started = Instant::now();
        let attempts = Cell::new(0);
        let failing = async || {
            attempts.set(attempts.get() + 1);
            Err::<(), _>(StoreError::retryable("503"))
        };
        let error = block_on(retry.run(failing)).unwrap_err();
        let attempts = attempts.get();
        assert!(error.message.starts_with("503; given up after"), "{}", error.message);
        assert!(attempts >= 2 && started.elapsed() < MS * 900, "{attempts} in {:?}", started.elapsed());
    }

    #[test]
    fn a_new_byte_restarts_the_time_limit() {
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
    fn a_missing_answer_is_a_retryable_error() {
        let retry = Retry::new(policy());
        let error = block_on(retry.in_time("no answer", std::future::pending::<Result<(), _>>())).unwrap_err();
        assert!(error.retryable && error.message.starts_with("no answer within 0.0 s"), "{}", error.message);
    }

    #[test]
    fn a_permanent_error_is_not_retried() {
        let retry = Retry::new(policy());
        let once = Cell::new(0);
        let denied = async || {
            once.set(once.get() + 1);
            Err::<(), _>(StoreError::permanent("denied"))
        };
        assert_eq!((block_on(retry.run(denied)).unwrap_err().message, once.get()), ("denied".to_owned(), 1));
    }

    #[test]
    fn the_pause_that_a_server_asks_for_is_kept() {
        let retry = Retry::new(RetryPolicy { give_up_after: MS * 60_000, ..policy() });
        let started = Instant::now();
        let busy = StoreError { retry_after: Some(MS * 40), ..StoreError::retryable("503") };
        assert!(block_on(retry.again(&mut 0, busy)).is_ok() && started.elapsed() >= MS * 40);
    }

    #[test]
    fn delays_double_up_to_a_limit_and_differ() {
        let policy = policy();
        for (attempt, longest) in [(0, 4), (1, 8), (2, 16), (3, 16), (40, 16)] {
            let delays: Vec<_> = (0..50).map(|_| policy.delay(attempt)).collect();
            assert!(delays.iter().all(|delay| (MS * longest / 2..=MS * longest).contains(delay)), "{delays:?}");
            assert!(delays.iter().any(|delay| *delay != delays[0]));
        }
    }
}
