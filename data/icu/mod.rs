// ICU4X's data as this project compiles it in: ICU4X_DATA_DIR (.cargo/config.toml) makes each of its data crates
// include this file in place of its own `data/mod.rs`. Each goes on to the file of its name. Cargo does not watch
// them: after an edit, `cargo clean --release --package icu_segmenter_data`.
include!(concat!(env!("ICU4X_DATA_DIR"), "/", env!("CARGO_PKG_NAME"), ".rs"));
