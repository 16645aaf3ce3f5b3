//! Limits and threads that every call shares: how many calls run at once, work that blocks, panics.

pub mod admission;
pub mod offload;
pub mod panics;
