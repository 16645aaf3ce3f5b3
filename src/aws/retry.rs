//! How long trouble with a store is borne, and the delays between attempts.

use std::time::Duration;

/// The durations that asking again goes by.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Trouble that is borne before giving up; when it began is the caller's to say.
    pub give_up_after: Duration,
    /// Wait for an answer; then the attempt counts as failed.
    pub response_timeout: Duration,
    /// The first delay before another attempt; doubled each time.
    pub first_delay: Duration,
    pub max_delay: Duration,
}

impl RetryPolicy {
    /// Between half and all of the doubled delay, at random, so that many that failed together do not come back
    /// together; `attempt` counts from 0.
    pub fn delay(&self, attempt: u32) -> Duration {
        let doubled = self.first_delay.saturating_mul(1 << attempt.min(16));
        doubled.min(self.max_delay).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn delays_double_up_to_a_limit_and_differ() {
        let policy =
            RetryPolicy { give_up_after: MS * 60, response_timeout: MS * 20, first_delay: MS * 4, max_delay: MS * 16 };
        for (attempt, longest) in [(0, 4), (1, 8), (2, 16), (3, 16), (40, 16)] {
            let delays: Vec<_> = (0..50).map(|_| policy.delay(attempt)).collect();
            assert!(delays.iter().all(|delay| (MS * longest / 2..=MS * longest).contains(delay)), "{delays:?}");
            assert!(delays.iter().any(|delay| *delay != delays[0]));
        }
    }
}
