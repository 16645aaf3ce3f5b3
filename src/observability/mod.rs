//! The measurements, log line and metrics of each call.
//!
//! ```text
//! Meter          each part adds its figures while the call runs
//!   -> Observer  at the call's end: one log line, one line in CloudWatch's embedded metric format,
//!                and the process's totals
//! GET /metrics   the totals as Prometheus text, under `bootstrap serve`
//! ```
//!
//! Invariants: each call is logged and counted once, however it ends; only counts, durations and the names in [`metrics`]
//! are written, never a caller's text; a value of zero makes no metric, because CloudWatch bills each metric's name.

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
