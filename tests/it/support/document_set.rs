//! The test documents of `make documents`, and how the library reads them.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use lambda_embed::documents::extract::pdf::PdfReader;
use lambda_embed::documents::extract::{
    Cursor, ExtractOptions, Extracted, Format, Hints, Section, Unreadable, extract,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::support::harness::pdfium;
use crate::support::parts;

const SET: &str = "target/documents/set";

/// A row of the index; tests/documents/make.py describes it.
#[derive(Deserialize)]
pub struct Expected {
    pub file: String,
    pub key: String,
    pub outcome: String,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub format: Option<Format>,
    pub charset: Option<String>,
    pub contains: Vec<String>,
    pub texts: Vec<String>,
    pub text: Option<String>,
    pub place: Map<String, Value>,
    pub fields: Map<String, Value>,
    pub left_out: u64,
    pub words: Option<String>,
    pub reference: Vec<String>,
    pub why: Option<String>,
}

impl Expected {
    pub fn path(&self) -> PathBuf {
        Path::new(SET).join(&self.file)
    }

    pub fn hints(&self) -> Hints<'_> {
        let (content_type, content_encoding) = (self.content_type.as_deref(), self.content_encoding.as_deref());
        Hints { key: &self.key, content_type, content_encoding }
    }
}

pub fn index() -> Vec<Expected> {
    parts::assert_present("documents");
    let index = std::fs::read(Path::new(SET).join("index.json")).unwrap();
    serde_json::from_slice(&index).expect("the index is as make.py writes it")
}

fn options() -> ExtractOptions {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_bootstrap"));
    ExtractOptions { pdf_reader: Some(PdfReader { program, library: pdfium() }), ..ExtractOptions::default() }
}

pub fn read(
    input: impl Read,
    hints: &Hints<'_>,
    resumed: Option<&Cursor>,
) -> (Vec<Section>, Result<Extracted, Unreadable>) {
    let mut sections = Vec::new();
    let outcome = extract(input, hints, &options(), resumed, &mut |section| {
        sections.push(section);
        ControlFlow::Continue(())
    });
    (sections, outcome)
}

/// Bytes of a text that a test looks at.
const KEPT: usize = 10_000;

/// How the reading ended, and the first words of the text; nothing else of it is held.
pub fn count(input: impl Read, hints: &Hints<'_>) -> (Result<Extracted, Unreadable>, String) {
    let mut text = String::new();
    let outcome = extract(input, hints, &options(), None, &mut |section| {
        let more = section.text.floor_char_boundary(KEPT.saturating_sub(text.len()));
        text.push_str(&section.text[..more]);
        ControlFlow::Continue(())
    });
    (outcome, text)
}
