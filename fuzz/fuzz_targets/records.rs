//! Any bytes as a table or as records of JSON: what can be read is, from any place where reading goes on.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lambda_embed_fuzz::records(data));
