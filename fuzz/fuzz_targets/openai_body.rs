//! Any bytes as a request body under OpenAI's contract: a request or an error, never a panic.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(lambda_embed_fuzz::openai_body(data)));
