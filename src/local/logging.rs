//! Where log lines go: JSON on standard output under Lambda, plain text on standard error by hand.

use tracing::Level;

/// JSON lines, one an event, in the shape of Lambda's own JSON log format.
pub fn json(level: Level) {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_target(false)
        .with_max_level(level)
        .init();
}

/// Plain lines for people, away from a command's own output.
pub fn plain(level: Level) {
    tracing_subscriber::fmt().with_target(false).with_max_level(level).with_writer(std::io::stderr).init();
}
