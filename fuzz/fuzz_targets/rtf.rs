//! Any bytes as Rich Text: read, or refused with a reason.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lambda_embed_fuzz::rtf(data));
