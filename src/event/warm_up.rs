//! Pings that keep an instance warm: from schedules of EventBridge and from the tools that are common for it.

use serde::Deserialize;

use super::lenient::{Flag, Maybe};

/// The fields of which one identifies a ping.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Ping {
    /// `serverless-plugin-warmup`, and others with the word in their name.
    source: Maybe<String>,
    /// OpenNext's `warmer`.
    #[serde(rename = "type")]
    kind: Maybe<String>,
    action: Maybe<String>,
    /// EventBridge's own name for what a schedule sends by default.
    #[serde(rename = "detail-type")]
    detail_type: Maybe<String>,
    /// lambda-warmer's; the others are what people write by hand.
    warmer: Flag,
    warmup: Flag,
    #[serde(rename = "warmUp")]
    warm_up: Flag,
    warm: Flag,
    #[serde(rename = "isWarmup")]
    is_warmup: Flag,
    #[serde(rename = "keepWarm")]
    keep_warm: Flag,
    ping: Flag,
}

/// Whether an event that is of no other kind is a ping.
pub fn is_ping(json: &str) -> bool {
    let ping: Ping = serde_json::from_str(json).unwrap_or_default();
    let named = |field: &Maybe<String>| {
        let name = field.0.as_deref().unwrap_or_default().to_ascii_lowercase();
        ["warmup", "warm-up", "warmer", "keep-warm"].iter().any(|word| name.contains(word))
    };
    let scheduled = ping.detail_type.is("Scheduled Event");
    let flags = [ping.warmer, ping.warmup, ping.warm_up, ping.warm, ping.is_warmup, ping.keep_warm, ping.ping]
        .contains(&Flag(true));
    scheduled || flags || [&ping.source, &ping.kind, &ping.action].into_iter().any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_pings_are_known_and_nothing_else_is() {
        for ping in [
            r#"{"source": "serverless-plugin-warmup"}"#,
            r#"{"source": "serverless-plugin-lambda-warmup"}"#,
            r#"{"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}"#,
            r#"{"version": "0", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"}"#,
            r#"{"warmer": true, "concurrency": 3}"#,
            r#"{"type": "warmer", "warmerId": "a", "index": 0}"#,
            r#"{"action": "warmup"}"#,
            r#"{"warmup": true, "source": 5}"#,
            r#"{"warmup": "true"}"#,
            r#"{"keepWarm": true}"#,
        ] {
            assert!(is_ping(ping), "{ping}");
        }
        for other in [
            r#"{"warmer": false}"#,
            r#"{"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification"}"#,
            r#"{"source": "aws.events"}"#,
            r#"{"warmer": 1}"#,
            "{}",
            "[]",
            "5",
        ] {
            assert!(!is_ping(other), "{other}");
        }
    }
}
