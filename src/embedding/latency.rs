//! How fast texts have run so far, and so how long others will take.
//!
//! A run beside others has one thread, a lone one has all, so each has a latency of its own. Recent tokens count
//! most: a function's share of its cores changes with its neighbours.
//!
//! Lambda freezes a process between calls, and the clock goes on: a run that was caught in it seems to have taken
//! minutes. So the pool notes no run that nobody waits for any longer, what is far slower than the runs before counts
//! as a few times slower, and each refusal makes the next forecast shorter. Whoever is refused by mistake gets through
//! after some attempts. The next run says whether the refusals were mistakes, and all doubt ends.

use std::time::Duration;

use super::Parallelism;

/// Tokens after which what was measured before counts half.
const HALF_LIFE: f64 = 8_192.0;
/// Tokens before which nothing is foretold: the first run is a word or two, and mostly pays for being first.
const ENOUGH: f64 = 256.0;
/// How many times slower than the runs before it a run may count as: a few of them tell of a slower processor just
/// as well, and one frozen run is soon forgotten. Short texts take up to three times as long a token as long ones.
const SLOWER: f64 = 4.0;
/// What a refusal leaves of a forecast: a tenth after ten.
const REJECTION_DISCOUNT: f64 = 0.8;

/// Time a token, as measured.
#[derive(Debug)]
pub struct LatencyEstimator {
    intra_op: Mean,
    inter_op: Mean,
    /// What refusals since the last run leave of the forecast.
    rejection_discount: f64,
}

impl Default for LatencyEstimator {
    fn default() -> Self {
        Self { intra_op: Mean::default(), inter_op: Mean::default(), rejection_discount: 1.0 }
    }
}

#[derive(Debug, Default)]
struct Mean {
    seconds: f64,
    tokens: f64,
}

impl LatencyEstimator {
    /// Notes a run of `tokens` tokens, which also shows whether doubt was right.
    pub fn note(&mut self, parallelism: Parallelism, tokens: usize, took: Duration) {
        let rejection_discount = std::mem::replace(&mut self.rejection_discount, 1.0);
        let (mean, tokens, took) = (self.of(parallelism), tokens as f64, took.as_secs_f64());
        let expected = mean.seconds_a_token().map(|seconds| seconds * tokens);
        if expected.is_some_and(|expected| took < expected * rejection_discount) {
            mean.seconds *= rejection_discount;
        }
        let decay = 0.5f64.powf(tokens / HALF_LIFE);
        mean.seconds = mean.seconds * decay + took.min(expected.map_or(f64::INFINITY, |expected| expected * SLOWER));
        mean.tokens = mean.tokens * decay + tokens;
    }

    /// How long `tokens` tokens in `runs` runs take on `threads` threads; `None` before enough was measured.
    pub fn estimate(&self, tokens: usize, runs: usize, threads: usize) -> Option<Duration> {
        let lone = self.intra_op.seconds_a_token();
        let beside = self.inter_op.seconds_a_token().map(|seconds| seconds / runs.min(threads) as f64);
        // Where only the other latency is known it serves: texts one after the other, a lone text on one thread.
        let seconds = if runs == 1 { lone.or(beside) } else { beside.or(lone) };
        seconds.map(|seconds| Duration::from_secs_f64(seconds * tokens as f64 * self.rejection_discount))
    }

    /// Takes note that a call was refused for what [`estimate`](Self::estimate) said.
    pub fn note_rejection(&mut self) {
        self.rejection_discount *= REJECTION_DISCOUNT;
    }

    fn of(&mut self, parallelism: Parallelism) -> &mut Mean {
        match parallelism {
            Parallelism::IntraOp => &mut self.intra_op,
            Parallelism::InterOp => &mut self.inter_op,
        }
    }
}

impl Mean {
    fn seconds_a_token(&self) -> Option<f64> {
        (self.tokens >= ENOUGH).then(|| self.seconds / self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(latency: &LatencyEstimator, tokens: usize, runs: usize, threads: usize) -> Option<f64> {
        latency.estimate(tokens, runs, threads).map(|time| (time.as_secs_f64() * 1e3).round() / 1e3)
    }

    #[test]
    fn nothing_is_foretold_of_a_first_run() {
        let mut latency = LatencyEstimator::default();
        latency.note(Parallelism::IntraOp, 3, Duration::from_secs(1));
        assert_eq!(latency.estimate(100_000, 10, 2), None);
    }

    #[test]
    fn texts_side_by_side_share_the_time_and_a_lone_one_does_not() {
        let mut latency = LatencyEstimator::default();
        latency.note(Parallelism::InterOp, 1_000, Duration::from_secs(1));
        assert_eq!(seconds(&latency, 8_000, 8, 2), Some(4.0));
        assert_eq!(seconds(&latency, 8_000, 1, 2), Some(8.0));
        latency.note(Parallelism::IntraOp, 1_000, Duration::from_millis(600));
        assert_eq!(seconds(&latency, 1_000, 1, 2), Some(0.6));
    }

    #[test]
    fn a_measure_counts_half_after_its_half_life() {
        let mut latency = LatencyEstimator::default();
        for took in [3, 1] {
            latency.note(Parallelism::IntraOp, HALF_LIFE as usize, Duration::from_secs(took));
        }
        // 3 / 2 + 1 seconds for 8192 / 2 + 8192 tokens.
        assert_eq!(seconds(&latency, 12_288, 1, 1), Some(2.5));
    }

    #[test]
    fn what_is_recent_counts_most() {
        let mut latency = LatencyEstimator::default();
        for (first, then) in [(100, 1), (1, 100)] {
            latency.note(Parallelism::InterOp, 1_000, Duration::from_secs(first));
            for _ in 0..100 {
                latency.note(Parallelism::InterOp, 1_000, Duration::from_secs(then));
            }
            let expected = seconds(&latency, 1_000, 2, 1).unwrap() / then as f64;
            assert!((0.95..1.1).contains(&expected), "{expected}");
        }
    }

    #[test]
    fn a_run_that_was_frozen_counts_as_a_few_times_slower() {
        let mut latency = LatencyEstimator::default();
        for _ in 0..10 {
            latency.note(Parallelism::IntraOp, 500, Duration::from_millis(50));
        }
        latency.note(Parallelism::IntraOp, 500, Duration::from_secs(90));
        let expected = seconds(&latency, 5_000, 1, 1).unwrap();
        assert!((0.5..0.8).contains(&expected), "{expected}");
    }

    #[test]
    fn a_run_as_slow_as_foretold_ends_all_doubt() {
        let mut latency = LatencyEstimator::default();
        let work = Duration::from_millis(50);
        latency.note(Parallelism::InterOp, 500, work);
        for _ in 0..20 {
            latency.note_rejection();
        }
        assert!(latency.estimate(50_000, 100, 1).unwrap() < work * 2);
        latency.note(Parallelism::InterOp, 500, work);
        assert_eq!(seconds(&latency, 50_000, 100, 1), Some(5.0));
    }

    #[test]
    fn refusals_wear_a_wrong_forecast_out() {
        let mut latency = LatencyEstimator::default();
        // Caught by a freeze before there was anything to compare it with.
        latency.note(Parallelism::IntraOp, 500, Duration::from_secs(90));
        let (work, left) = (Duration::from_millis(50), Duration::from_millis(500));
        let mut refusals = 0;
        while latency.estimate(500, 1, 1).unwrap() > left {
            latency.note_rejection();
            refusals += 1;
            assert!(refusals < 30);
        }
        // Whoever got through corrects it.
        for _ in 0..100 {
            latency.note(Parallelism::IntraOp, 500, work);
        }
        assert!(latency.estimate(500, 1, 1).unwrap() < work * 2);
    }
}
