//! Any bytes as a request body under OpenAI's contract; an error is as good as a request, a panic is neither.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| drop(lambda_embed_fuzz::openai_body(data)));
