//! Any bytes as a Lambda event: decodes it and its body, and puts an answer into its source's envelope.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lambda_embed_fuzz::event(data));
