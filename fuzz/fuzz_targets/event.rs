//! Any bytes as a Lambda event: decoded, its body unpacked, an answer put into its source's envelope.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lambda_embed_fuzz::event(data));
