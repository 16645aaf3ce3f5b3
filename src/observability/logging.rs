//! Log output: JSON on standard output under Lambda, plain text on standard error in a terminal.
//!
//! Other libraries log WARN and ERROR only, whatever the level: at DEBUG and TRACE they write headers and bodies of
//! requests. `lambda_runtime`'s line about a failed call is off, because it quotes the error's message, which may quote
//! the caller; the call's own line reports the failure without it.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::concurrency::panics;

/// Logs in the shape of Lambda's JSON log format, one object a line.
pub fn json(level: Level) {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false);
    tracing_subscriber::registry().with(lines.with_filter(passed(level))).init();
    panics::log_places();
}

/// Logs plain lines, apart from a command's output.
pub fn plain(level: Level) {
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines.with_filter(passed(level))).init();
    panics::log_places();
}

fn passed(level: Level) -> Targets {
    let level = LevelFilter::from_level(level);
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("lambda_embed", level)
        .with_target("bootstrap", level)
        .with_target("lambda_runtime::layers::panic", LevelFilter::OFF)
}
