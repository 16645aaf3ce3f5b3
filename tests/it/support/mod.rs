//! What the tests share.

#[macro_use]
pub mod parts;
