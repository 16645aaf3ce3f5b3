//! Any bytes as a document of any name: read, skipped or broken, in bounded time and memory.

#![no_main]

libfuzzer_sys::fuzz_target!(init: lambda_embed_fuzz::let_caught_ones_pass(), |data: &[u8]| lambda_embed_fuzz::document(data));
