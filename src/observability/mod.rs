//! What is measured and logged of each call.
//!
//! ```text
//! Meter          filled while a call runs, by whoever does the work
//!   -> Observer  at the call's end: one log line, one line in CloudWatch's embedded metric format,
//!                and the process's totals
//! GET /metrics   the totals as Prometheus text, under `bootstrap serve`
//! ```
//!
//! Invariants: a figure is written once a call, whatever becomes of the call; nothing that a caller wrote is
//! written, only counts, durations and the names in [`metrics`]; a value of zero leaves no metric behind,
//! because CloudWatch bills metrics by the name.

pub mod call;
mod emf;
pub mod logging;
mod memory;
mod meter;
pub mod metrics;
mod observer;
mod prometheus;

pub use meter::{CallFailure, Measurements, Meter};
pub use observer::Observer;
