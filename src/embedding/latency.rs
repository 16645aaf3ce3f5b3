//! Estimates how long texts will take from how long earlier texts took.
//!
//! An inter-op run has one thread and an intra-op run has all, so each has an average of its own. Recent tokens count
//! most, because a function's share of the cores changes with its neighbours on the machine.
//!
//! Lambda freezes a process between calls while the clock goes on, so a run that was frozen seems to have taken minutes.
//! Three rules limit the damage. The pool does not record a run whose caller has gone. A run that is far slower than
//! the runs before it counts as a few times slower only. And each rejection shortens the next estimate, so a caller that
//! was rejected by mistake gets through after some attempts; the next run then shows the true speed, and estimates are
//! no longer shortened.

use std::time::Duration;

use super::Parallelism;

/// After this many tokens an earlier measurement counts half.
const HALF_LIFE: f64 = 8_192.0;
/// Fewer measured tokens than this give no estimate: the first run has a word or two, and pays for being the first.
const MIN_TOKENS: f64 = 256.0;
/// A run counts as at most this many times slower than the runs before it. A processor that did become slower shows after
/// a few runs, and one frozen run is soon forgotten. A token of a short text takes up to three times as long as one of a
/// long text, so the factor must be larger.
const MAX_SLOWDOWN: f64 = 4.0;
/// What one rejection leaves of an estimate; ten leave a tenth.
const REJECTION_DISCOUNT: f64 = 0.8;

/// Measured time per token, for each kind of run.
#[derive(Debug)]
pub struct LatencyEstimator {
    intra_op: Mean,
    inter_op: Mean,
    /// The factor that rejections since the last run have left.
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
    /// Records a run of `tokens` tokens. If rejections had shortened the estimate and the run was as fast as that, the
    /// average follows; either way estimates are no longer shortened.
    pub fn record(&mut self, parallelism: Parallelism, tokens: usize, took: Duration) {
        let rejection_discount = std::mem::replace(&mut self.rejection_discount, 1.0);
        let (mean, tokens, took) = (self.of(parallelism), tokens as f64, took.as_secs_f64());
        let expected = mean.seconds_a_token().map(|seconds| seconds * tokens);
        if expected.is_some_and(|expected| took < expected * rejection_discount) {
            mean.seconds *= rejection_discount;
        }
        let decay = 0.5f64.powf(tokens / HALF_LIFE);
        mean.seconds =
            mean.seconds * decay + took.min(expected.map_or(f64::INFINITY, |expected| expected * MAX_SLOWDOWN));
        mean.tokens = mean.tokens * decay + tokens;
    }

    /// How long `tokens` tokens in `runs` runs take on `threads` threads; `None` if too little was measured.
    pub fn estimate(&self, tokens: usize, runs: usize, threads: usize) -> Option<Duration> {
        let lone = self.intra_op.seconds_a_token();
        let beside = self.inter_op.seconds_a_token().map(|seconds| seconds / runs.min(threads) as f64);
        // If only the other kind of run was measured, its average is used: texts run one after the other, or a single
        // text runs on one thread.
        let seconds = if runs == 1 { lone.or(beside) } else { beside.or(lone) };
        seconds.map(|seconds| Duration::from_secs_f64(seconds * tokens as f64 * self.rejection_discount))
    }

    /// Records that a call was rejected because of an [`estimate`](Self::estimate).
    pub fn record_rejection(&mut self) {
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
        (self.tokens >= MIN_TOKENS).then(|| self.seconds / self.tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(latency: &LatencyEstimator, tokens: usize, runs: usize, threads: usize) -> Option<f64> {
        latency.estimate(tokens, runs, threads).map(|time| (time.as_secs_f64() * 1e3).round() / 1e3)
    }

    #[test]
    fn a_first_run_gives_no_estimate() {
        let mut latency = LatencyEstimator::default();
        latency.record(Parallelism::IntraOp, 3, Duration::from_secs(1));
        assert_eq!(latency.estimate(100_000, 10, 2), None);
    }

    #[test]
    fn texts_side_by_side_share_the_time_and_a_single_one_does_not() {
        let mut latency = LatencyEstimator::default();
        latency.record(Parallelism::InterOp, 1_000, Duration::from_secs(1));
        assert_eq!(seconds(&latency, 8_000, 8, 2), Some(4.0));
        assert_eq!(seconds(&latency, 8_000, 1, 2), Some(8.0));
        latency.record(Parallelism::IntraOp, 1_000, Duration::from_millis(600));
        assert_eq!(seconds(&latency, 1_000, 1, 2), Some(0.6));
    }

    #[test]
    fn a_measure_counts_half_after_its_half_life() {
        let mut latency = LatencyEstimator::default();
        for took in [3, 1] {
            latency.record(Parallelism::IntraOp, HALF_LIFE as usize, Duration::from_secs(took));
        }
        // 3 / 2 + 1 seconds for 8192 / 2 + 8192 tokens.
        assert_eq!(seconds(&latency, 12_288, 1, 1), Some(2.5));
    }

    #[test]
    fn recent_runs_count_most() {
        let mut latency = LatencyEstimator::default();
        for (first, then) in [(100, 1), (1, 100)] {
            latency.record(Parallelism::InterOp, 1_000, Duration::from_secs(first));
            for _ in 0..100 {
                latency.record(Parallelism::InterOp, 1_000, Duration::from_secs(then));
            }
            let expected = seconds(&latency, 1_000, 2, 1).unwrap() / then as f64;
            assert!((0.95..1.1).contains(&expected), "{expected}");
        }
    }

    #[test]
    fn a_run_that_was_frozen_counts_as_a_few_times_slower() {
        let mut latency = LatencyEstimator::default();
        for _ in 0..10 {
            latency.record(Parallelism::IntraOp, 500, Duration::from_millis(50));
        }
        latency.record(Parallelism::IntraOp, 500, Duration::from_secs(90));
        let expected = seconds(&latency, 5_000, 1, 1).unwrap();
        assert!((0.5..0.8).contains(&expected), "{expected}");
    }

    #[test]
    fn a_run_as_slow_as_estimated_restores_the_estimate() {
        let mut latency = LatencyEstimator::default();
        let work = Duration::from_millis(50);
        latency.record(Parallelism::InterOp, 500, work);
        for _ in 0..20 {
            latency.record_rejection();
        }
        assert!(latency.estimate(50_000, 100, 1).unwrap() < work * 2);
        latency.record(Parallelism::InterOp, 500, work);
        assert_eq!(seconds(&latency, 50_000, 100, 1), Some(5.0));
    }

    #[test]
    fn rejections_shorten_a_wrong_estimate() {
        let mut latency = LatencyEstimator::default();
        // Frozen before there was an earlier run to compare with.
        latency.record(Parallelism::IntraOp, 500, Duration::from_secs(90));
        let (work, left) = (Duration::from_millis(50), Duration::from_millis(500));
        let mut rejections = 0;
        while latency.estimate(500, 1, 1).unwrap() > left {
            latency.record_rejection();
            rejections += 1;
            assert!(rejections < 30);
        }
        // The calls that get through correct the average.
        for _ in 0..100 {
            latency.record(Parallelism::IntraOp, 500, work);
        }
        assert!(latency.estimate(500, 1, 1).unwrap() < work * 2);
    }
}
