//! The checks of the fuzz targets on any bytes, through the library's public functions. `tests/it/mutations.rs` runs
//! them on a fixed number of mutations.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::LazyLock;

use lambda_embed::Result;
use lambda_embed::config::Config;
use lambda_embed::documents::extract::{ExtractOptions, Hints, extract};
use lambda_embed::event::{self, HttpResponse, Invocation};
use lambda_embed::http_api::{openai, qdrant_inference, tei};
use lambda_embed::model::Manifest;

/// The model whose requests the parsers expect.
static MODEL: LazyLock<Manifest> = LazyLock::new(|| {
    Manifest::parse(include_bytes!("../../models/fixture/manifest.json")).expect("the fixture's manifest is valid")
});

/// What they allow unless a variable says otherwise.
static CONFIG: LazyLock<Config> =
    LazyLock::new(|| Config::resolve([], Path::new("/")).expect("the defaults are understood"));

/// Decodes `bytes` as a Lambda event, decompresses its body and puts an answer into its source's envelope.
pub fn event(bytes: &[u8]) {
    /// Small, so that bodies below and above it are tried.
    const BODY_LIMIT: usize = 4096;
    if let Ok(Invocation::Http(source, request)) = event::decode(bytes) {
        let body = request.bytes(BODY_LIMIT).unwrap_or_default().into_owned();
        assert!(body.len() <= BODY_LIMIT, "a body beyond its limit came through");
        let response = HttpResponse { status: Default::default(), headers: request.headers, body };
        let _ = source.encode(response);
    }
}

/// Reads `bytes` as a web page. What is emitted lies in the text where it says.
pub fn html(bytes: &[u8]) {
    let hints = Hints { key: "page.html", content_type: Some("text/html"), content_encoding: None };
    let mut end = 0;
    let outcome = extract(bytes, &hints, &ExtractOptions::default(), None, &mut |section| {
        assert!(section.start >= end, "a section overlaps the one before it");
        end = section.start + section.text.chars().count();
        ControlFlow::Continue(())
    });
    assert!(outcome.is_err() || outcome.is_ok_and(|read| read.characters >= end));
}

/// Reads `bytes` as a document, once under each extension that leads to a reader of its own. Nothing may panic, and
/// what is emitted is in order.
pub fn document(bytes: &[u8]) {
    for key in ["a", "a.docx", "a.eml", "a.rtf", "a.epub"] {
        let hints = Hints { key, ..Hints::default() };
        let mut end = 0;
        let _ = extract(bytes, &hints, &ExtractOptions::default(), None, &mut |section| {
            assert!(section.start >= end || section.place.record.is_some(), "sections overlap");
            end = section.start + section.text.chars().count();
            ControlFlow::Continue(())
        });
    }
}

/// Parses `bytes` as a request body under OpenAI's contract.
pub fn openai_body(bytes: &[u8]) -> Result<()> {
    openai::Request::parse(bytes, &MODEL, &CONFIG).map(drop)
}

/// Parses `bytes` as a request body under text-embeddings-inference's contract.
pub fn tei_body(bytes: &[u8]) -> Result<()> {
    tei::Request::parse(bytes, &MODEL).map(drop)
}

/// Parses `bytes` as a request body under Qdrant's inference contract.
pub fn qdrant_body(bytes: &[u8]) -> Result<()> {
    qdrant_inference::Request::parse(bytes, &MODEL, &CONFIG).map(drop)
}
