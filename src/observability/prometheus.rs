//! A process's totals as Prometheus text.
//!
//! Source of the format: Prometheus's "Exposition formats", the text format, version 0.0.4.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::metrics::{By, METRICS, Metric, Total, Unit, Value};

/// Upper bounds of the durations' histogram, in seconds: a query takes milliseconds, a full request a minute.
const BOUNDS: [f64; 12] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
const HISTOGRAM: &str = "embed_duration_seconds";

/// A process's totals since its start.
#[derive(Debug, Default)]
pub struct Totals {
    /// By the metric's name in Prometheus and its dimension's value, which is empty for most.
    sums: BTreeMap<(&'static str, &'static str), f64>,
    /// Calls up to each bound; the last place counts those beyond.
    durations: [u64; BOUNDS.len() + 1],
    seconds: f64,
}

impl Totals {
    /// Adds a call's values; `source` and `error_type` are its dimensions' values.
    pub fn add(&mut self, values: &[Value], source: &'static str, error_type: Option<&'static str>) {
        for (metric, value) in values {
            let word = match metric.by {
                By::Service => "",
                By::Source => source,
                By::ErrorType => error_type.unwrap_or_default(),
            };
            let sum = self.sums.entry((metric.prometheus, word)).or_default();
            match metric.total {
                Total::Sum => *sum += value,
                Total::Last => *sum = *value,
            }
        }
    }

    /// Adds a call's duration in seconds.
    pub fn add_duration(&mut self, seconds: f64) {
        let place = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.durations[place] += 1;
        self.seconds += seconds;
    }

    /// The totals as text, then the current `gauges`: name, description, value.
    pub fn prometheus(&self, gauges: &[(&str, &str, f64)]) -> String {
        let mut text = String::new();
        for metric in METRICS.iter().filter(|metric| metric.prometheus != "embed_duration_seconds_total") {
            self.write_metric(&mut text, metric);
        }
        head(&mut text, HISTOGRAM, "from the request's head to its answer", "histogram");
        let mut below = 0;
        for (bound, count) in BOUNDS.iter().zip(self.durations) {
            below += count;
            let _ = writeln!(text, "{HISTOGRAM}_bucket{{le=\"{bound}\"}} {below}");
        }
        let all: u64 = self.durations.iter().sum();
        let _ = writeln!(text, "{HISTOGRAM}_bucket{{le=\"+Inf\"}} {all}");
        let _ = writeln!(text, "{HISTOGRAM}_sum {}\n{HISTOGRAM}_count {all}", self.seconds);
        for (name, about, value) in gauges {
            head(&mut text, name, about, "gauge");
            let _ = writeln!(text, "{name} {value}");
        }
        text
    }

    fn write_metric(&self, text: &mut String, metric: &Metric) {
        let kind = if metric.total == Total::Sum { "counter" } else { "gauge" };
        head(text, metric.prometheus, metric.about, kind);
        let scale = if metric.unit == Unit::Milliseconds { 1e-3 } else { 1.0 };
        let of = self.sums.range((metric.prometheus, "")..).take_while(|((name, _), _)| *name == metric.prometheus);
        let mut none = true;
        for ((name, word), sum) in of {
            none = false;
            let value = sum * scale;
            let _ = match metric.by {
                By::Service => writeln!(text, "{name} {value}"),
                By::Source => writeln!(text, "{name}{{source=\"{word}\"}} {value}"),
                By::ErrorType => writeln!(text, "{name}{{error_type=\"{word}\"}} {value}"),
            };
        }
        // `rate()` misses the first event of a counter that does not start at 0.
        if none && metric.by == By::Service && metric.total == Total::Sum {
            let _ = writeln!(text, "{} 0", metric.prometheus);
        }
    }
}

fn head(text: &mut String, name: &str, about: &str, kind: &str) {
    let _ = writeln!(text, "# HELP {name} {about}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{DURATION, ERRORS, INVOCATIONS, RESIDENT_MEMORY, TOKENIZE};
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn sums_add_up_and_memory_is_the_last() {
        let mut totals = Totals::default();
        for memory in [5.0, 3.0] {
            let values: [Value; 4] =
                [(&INVOCATIONS, 1.0), (&TOKENIZE, 250.0), (&RESIDENT_MEMORY, memory), (&DURATION, 300.0)];
            totals.add(&values, "http", None);
            totals.add_duration(0.3);
        }
        totals.add(&[(&INVOCATIONS, 1.0), (&ERRORS, 1.0)], "direct", Some("Request.Invalid"));
        let text = totals.prometheus(&[("embed_calls", "calls under way", 4.0)]);
        for line in [
            "embed_invocations_total{source=\"direct\"} 1",
            "embed_invocations_total{source=\"http\"} 2",
            "embed_errors_total{error_type=\"Request.Invalid\"} 1",
            "embed_tokenize_seconds_total 0.5",
            "embed_resident_memory_bytes 3",
            "embed_texts_total 0",
            "embed_duration_seconds_bucket{le=\"0.25\"} 0",
            "embed_duration_seconds_bucket{le=\"0.5\"} 2",
            "embed_duration_seconds_bucket{le=\"+Inf\"} 2",
            "embed_duration_seconds_count 2",
            "embed_duration_seconds_sum 0.6",
            "embed_calls 4",
            "# TYPE embed_texts_total counter",
            "# TYPE embed_resident_memory_bytes gauge",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in:\n{text}");
        }
        // What never happened is 0 only where it counts on its own, and nothing is told twice.
        let names: Vec<_> = text.lines().filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| name).collect();
        assert!(!names.contains(&"embed_init_seconds") && !names.contains(&"embed_errors_total"), "{text}");
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{text}");
    }

    #[test]
    fn a_call_beyond_every_bound_is_counted() {
        let mut totals = Totals::default();
        for seconds in [60.0, 61.0] {
            totals.add_duration(seconds);
        }
        let text = totals.prometheus(&[]);
        assert!(text.contains("_bucket{le=\"60\"} 1\n") && text.contains("_bucket{le=\"+Inf\"} 2\n"), "{text}");
    }
}
