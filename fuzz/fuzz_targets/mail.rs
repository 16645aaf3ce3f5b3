//! Any bytes as a mail: read, or refused with a reason.

#![no_main]

libfuzzer_sys::fuzz_target!(init: lambda_embed_fuzz::let_caught_ones_pass(), |data: &[u8]| lambda_embed_fuzz::mail(data));
