//! How long and how often a transfer is tried again.
//!
//! What counts is the time since trouble began, over all transfers of one fetch: any new byte ends the
//! trouble, because a slow fetch is not a failing one. Delays double from attempt to attempt and are
//! spread at random, so that a thousand functions that start together do not come back together.
//!
//! Lambda stops an init after 10 s. Trouble from the first moment on is given up after at most
//! `answer + trouble` = 7.5 s, so that the start still has time to fail with its cause instead of being
//! cut off without one.

use std::future::Future;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::Patience;
use crate::error::Trouble;

/// What fits into the 10 s of Lambda's init: trouble counts without one new byte, an answer's head and each further
/// chunk are waited for. S3 answers within 0.2 s as a rule and AWS advises to ask again rather than to wait longer.
pub const IN_INIT: Patience = Patience {
    trouble: Duration::from_millis(5_000),
    answer: Duration::from_millis(2_500),
    first_delay: Duration::from_millis(50),
    longest_delay: Duration::from_millis(1_000),
};

/// The patience of one fetch, shared by its transfers.
pub struct Retry {
    patience: Patience,
    trouble_since: Mutex<Option<Instant>>,
}

impl Retry {
    pub fn new(patience: Patience) -> Self {
        Self { patience, trouble_since: Mutex::new(None) }
    }

    /// New bytes came: whatever was wrong is over.
    pub fn progress(&self) {
        *self.since() = None;
    }

    /// Waits for `answer` as long as an answer may take; `silence` says what it is when none comes.
    pub async fn in_time<T>(
        &self,
        silence: &str,
        answer: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        let left = self.since().map(|since| self.patience.trouble.saturating_sub(since.elapsed()));
        let limit = left.map_or(self.patience.answer, |left| left.min(self.patience.answer));
        match tokio::time::timeout(limit, answer).await {
            Ok(answered) => answered,
            Err(_) => Err(Trouble::passing(format!("{silence} within {:.1} s", limit.as_secs_f32()))),
        }
    }

    /// Returns after the delay before another attempt; `attempt` counts this transfer's failures in a row.
    ///
    /// # Errors
    /// The trouble itself, when it stays or has lasted too long.
    pub async fn again(&self, attempt: &mut u32, mut trouble: Trouble) -> Result<(), Trouble> {
        if !trouble.passing {
            return Err(trouble);
        }
        let since = *self.since().get_or_insert_with(Instant::now);
        let delay = self.patience.delay(*attempt);
        *attempt += 1;
        if since.elapsed() + delay >= self.patience.trouble {
            trouble.message = format!(
                "{}; given up after {:.1} s without a new byte",
                trouble.message,
                since.elapsed().as_secs_f32()
            );
            return Err(trouble);
        }
        tracing::debug!(attempt, delay_ms = delay.as_millis() as u64, "asking S3 again: {}", trouble.message);
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

    fn patience() -> Patience {
        Patience { trouble: MS * 60, answer: MS * 20, first_delay: MS * 4, longest_delay: MS * 16 }
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn unbroken_trouble_is_given_up_with_its_cause() {
        let retry = Retry::new(patience());
        let started = Instant::now();
        let (attempts, trouble) = block_on(async {
            let mut attempt = 0;
            loop {
                if let Err(trouble) = retry.again(&mut attempt, Trouble::passing("503")).await {
                    return (attempt, trouble);
                }
            }
        });
        assert!(trouble.message.starts_with("503; given up after"), "{}", trouble.message);
        assert!(attempts >= 2 && started.elapsed() < MS * 900, "{attempts} in {:?}", started.elapsed());
    }

    #[test]
    fn a_new_byte_ends_the_trouble() {
        let retry = Retry::new(patience());
        block_on(async {
            for _ in 0..4 {
                tokio::time::sleep(MS * 25).await;
                assert!(retry.again(&mut 0, Trouble::passing("reset")).await.is_ok());
                retry.progress();
            }
        });
    }

    #[test]
    fn silence_is_trouble() {
        let retry = Retry::new(patience());
        let trouble = block_on(retry.in_time("no answer", std::future::pending::<Result<(), _>>())).unwrap_err();
        assert!(trouble.passing && trouble.message.starts_with("no answer within 0.0 s"), "{}", trouble.message);
    }

    #[test]
    fn what_stays_is_not_tried_again() {
        let retry = Retry::new(patience());
        assert!(block_on(retry.again(&mut 0, Trouble::lasting("denied"))).is_err());
    }
}
