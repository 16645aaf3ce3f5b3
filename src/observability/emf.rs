//! One call's metrics as a line in CloudWatch's embedded metric format.
//!
//! Source of the shape: "Specification: Embedded metric format" in CloudWatch's user guide; `service`,
//! `cold_start` and `function_request_id` are Powertools for AWS Lambda's names. Metrics have the one
//! dimension `service`; only the calls are also told apart by `source` and the errors by `error_type`, because
//! every combination of a metric and a dimension's value is billed.

use serde_json::{Map, Number, json};

use super::metrics::{By, Value};

/// A line's fields beside its values.
pub struct EmfLine<'a> {
    pub namespace: &'a str,
    pub service: &'a str,
    pub source: &'static str,
    pub error_type: Option<&'static str>,
    pub request_id: &'a str,
    pub cold_start: bool,
    /// Milliseconds since 1970.
    pub timestamp: u64,
}

impl EmfLine<'_> {
    /// The line with its newline; `values` without zeros.
    pub fn format(&self, values: &[Value]) -> String {
        let mut root = Map::new();
        let directive = |by: By, dimensions: &[&str]| {
            let of = values.iter().filter(|(metric, _)| metric.by == by);
            let metrics: Vec<_> =
                of.map(|(metric, _)| json!({"Name": metric.name, "Unit": metric.unit.name()})).collect();
            let directive = json!({"Namespace": self.namespace, "Dimensions": [dimensions], "Metrics": metrics});
            (!metrics.is_empty()).then_some(directive)
        };
        let directives: Vec<_> = [
            directive(By::Service, &["service"]),
            directive(By::Source, &["service", "source"]),
            directive(By::ErrorType, &["service", "error_type"]),
        ]
        .into_iter()
        .flatten()
        .collect();
        root.insert("_aws".to_owned(), json!({"Timestamp": self.timestamp, "CloudWatchMetrics": directives}));
        root.insert("service".to_owned(), self.service.into());
        root.insert("source".to_owned(), self.source.into());
        if let Some(error_type) = self.error_type {
            root.insert("error_type".to_owned(), error_type.into());
        }
        root.insert("function_request_id".to_owned(), self.request_id.into());
        root.insert("cold_start".to_owned(), self.cold_start.into());
        for (metric, value) in values {
            root.insert(metric.name.to_owned(), number(*value));
        }
        let mut line = serde_json::Value::Object(root).to_string();
        line.push('\n');
        line
    }
}

/// Whole numbers as integers; durations rounded to the microsecond.
fn number(value: f64) -> serde_json::Value {
    if value.fract() == 0.0 {
        return (value as u64).into();
    }
    Number::from_f64((value * 1e3).round() / 1e3).map_or(serde_json::Value::Null, serde_json::Value::Number)
}

#[cfg(test)]
mod tests {
    use super::super::metrics::{DURATION, ERRORS, INVOCATIONS, METRICS, TEXTS};
    use super::*;

    fn line(values: &[Value], error_type: Option<&'static str>) -> serde_json::Value {
        let line = EmfLine {
            namespace: "LambdaEmbed",
            service: "search",
            source: "http",
            error_type,
            request_id: "id-1",
            cold_start: true,
            timestamp: 1_700_000_000_000,
        };
        let text = line.format(values);
        assert!(text.ends_with("}\n") && text.matches('\n').count() == 1);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn every_metric_has_its_value_and_every_dimension_its_word() {
        let values: Vec<Value> = METRICS.iter().map(|metric| (*metric, 1.5)).collect();
        let line = line(&values, Some("Runtime.Internal"));
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let mut named = 0;
        for directive in directives {
            for dimension in directive["Dimensions"].as_array().unwrap().iter().flat_map(|set| set.as_array().unwrap())
            {
                assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}");
            }
            for metric in directive["Metrics"].as_array().unwrap() {
                assert_eq!(line[metric["Name"].as_str().unwrap()], 1.5);
                named += 1;
            }
        }
        // CloudWatch takes at most 100 in one directive.
        assert_eq!(named, METRICS.len());
    }

    #[test]
    fn a_call_without_an_error_names_none() {
        let line = line(&[(&INVOCATIONS, 1.0), (&DURATION, 2.123_456), (&TEXTS, 3.0)], None);
        assert_eq!((line["Texts"].as_u64(), line["Duration"].as_f64()), (Some(3), Some(2.123)));
        assert_eq!(line["_aws"]["CloudWatchMetrics"].as_array().unwrap().len(), 2);
        assert!(line.get("error_type").is_none() && line.get(ERRORS.name).is_none());
    }
}
