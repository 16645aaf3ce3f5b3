//! The function under AWS Lambda: the Runtime API's loop, and an init that may end before the model is loaded.

mod deferred_init;
mod runtime_loop;

pub use deferred_init::{DeferredInit, INIT_BUDGET, InvocationError};
pub use runtime_loop::{report_failed_init, serve};
