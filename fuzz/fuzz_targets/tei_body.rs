//! Any bytes as a request body under text-embeddings-inference's contract.

#![no_main]

use lambda_embed::http_api::{BodyKind, check_body};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What a caller would be told is of no interest here, only that it is told.
    let _ = check_body(BodyKind::Tei, data);
});
