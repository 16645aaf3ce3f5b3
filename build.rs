//! Writes cl100k_base's tokens for `src/http_api/cl100k.rs`: the bytes that its ids stand for, and nothing of the encoder
//! around them, which would be 1.7 MB of text and two hash maps at the first use.

use std::path::PathBuf;
use std::{env, fs};

/// One more than the greatest id. The last ids are special tokens with holes between them.
const IDS: u32 = 100_277;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let encoding = tiktoken_rs::cl100k_base().expect("tiktoken-rs carries the encoding");
    // An id that stands for no token gets no bytes.
    let tokens: Vec<Vec<u8>> = (0..IDS).map(|id| encoding.decode_bytes(&[id]).unwrap_or_default()).collect();
    let lengths: Vec<u8> =
        tokens.iter().map(|token| u8::try_from(token.len()).expect("no token is longer than 128 bytes")).collect();
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo tells a build script its folder"));
    fs::write(folder.join("cl100k_base.lengths"), lengths).expect("cargo's folder can be written");
    fs::write(folder.join("cl100k_base.tokens"), tokens.concat()).expect("cargo's folder can be written");
}
