//! What the fuzz targets of cargo-fuzz share.

mod checks;
mod panics;

pub use checks::*;
pub use panics::let_caught_ones_pass;
