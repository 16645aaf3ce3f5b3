//! Any bytes as the main part of each kind of office document: read, or refused with a reason.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lambda_embed_fuzz::office(data));
