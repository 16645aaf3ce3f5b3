//! How fast texts have run so far, and so how long others will take.
//!
//! A run beside others has one thread, a lone one has all, so each has a pace of its own. Recent tokens count
//! most: a function's share of its cores changes with its neighbours.

use std::time::Duration;

use super::pool::Company;

/// Tokens after which what was measured before counts half.
const HALF_LIFE: f64 = 8_192.0;
/// Tokens before which nothing is foretold: the first run is a word or two, and mostly pays for being first.
const ENOUGH: f64 = 256.0;

/// Time a token, as measured.
#[derive(Debug, Default)]
pub struct Pace {
    alone: Mean,
    beside: Mean,
}

#[derive(Debug, Default)]
struct Mean {
    seconds: f64,
    tokens: f64,
}

impl Pace {
    /// Notes a run of `tokens` tokens.
    pub fn note(&mut self, company: Company, tokens: usize, took: Duration) {
        let (mean, tokens) = (self.of(company), tokens as f64);
        let keep = 0.5f64.powf(tokens / HALF_LIFE);
        mean.seconds = mean.seconds * keep + took.as_secs_f64();
        mean.tokens = mean.tokens * keep + tokens;
    }

    /// How long `tokens` tokens in `runs` runs take on `threads` threads; `None` before enough was measured.
    pub fn expect(&self, tokens: usize, runs: usize, threads: usize) -> Option<Duration> {
        let lone = self.alone.seconds_a_token();
        let beside = self.beside.seconds_a_token().map(|seconds| seconds / runs.min(threads) as f64);
        // Where only the other pace is known it serves: texts one after the other, a lone text on one thread.
        let seconds = if runs == 1 { lone.or(beside) } else { beside.or(lone) };
        seconds.map(|seconds| Duration::from_secs_f64(seconds * tokens as f64))
    }

    fn of(&mut self, company: Company) -> &mut Mean {
        match company {
            Company::Alone => &mut self.alone,
            Company::Beside => &mut self.beside,
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

    fn seconds(pace: &Pace, tokens: usize, runs: usize, threads: usize) -> Option<f64> {
        pace.expect(tokens, runs, threads).map(|time| (time.as_secs_f64() * 1e3).round() / 1e3)
    }

    #[test]
    fn nothing_is_foretold_of_a_first_run() {
        let mut pace = Pace::default();
        pace.note(Company::Alone, 3, Duration::from_secs(1));
        assert_eq!(pace.expect(100_000, 10, 2), None);
    }

    #[test]
    fn texts_side_by_side_share_the_time_and_a_lone_one_does_not() {
        let mut pace = Pace::default();
        pace.note(Company::Beside, 1_000, Duration::from_secs(1));
        assert_eq!(seconds(&pace, 8_000, 8, 2), Some(4.0));
        assert_eq!(seconds(&pace, 8_000, 1, 2), Some(8.0));
        pace.note(Company::Alone, 1_000, Duration::from_millis(600));
        assert_eq!(seconds(&pace, 1_000, 1, 2), Some(0.6));
    }

    #[test]
    fn what_is_recent_counts_most() {
        let mut pace = Pace::default();
        pace.note(Company::Beside, 1_000, Duration::from_secs(100));
        for _ in 0..100 {
            pace.note(Company::Beside, 1_000, Duration::from_secs(1));
        }
        let expected = seconds(&pace, 1_000, 2, 1).unwrap();
        assert!((1.0..1.1).contains(&expected), "{expected}");
    }
}
