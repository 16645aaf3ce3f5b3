//! Any glyphs as those of a PDF's page: put into lines.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| lambda_embed_fuzz::pdf_layout(data));
