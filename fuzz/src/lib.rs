//! The checks of the fuzz targets on any bytes, through the library's public functions. `tests/it/mutations.rs` runs
//! them on a fixed number of mutations.

use std::sync::LazyLock;

use lambda_embed::Result;
use lambda_embed::event::{self, HttpResponse, Invocation};
use lambda_embed::http_api::{openai, qdrant_inference, tei};
use lambda_embed::model::Manifest;

/// The model whose requests the parsers expect.
static MODEL: LazyLock<Manifest> = LazyLock::new(|| {
    Manifest::parse(include_bytes!("../../models/fixture/manifest.json")).expect("the fixture's manifest is valid")
});

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

/// Parses `bytes` as a request body under OpenAI's contract.
pub fn openai_body(bytes: &[u8]) -> Result<()> {
    openai::Request::parse(bytes, &MODEL).map(drop)
}

/// Parses `bytes` as a request body under text-embeddings-inference's contract.
pub fn tei_body(bytes: &[u8]) -> Result<()> {
    tei::Request::parse(bytes, &MODEL).map(drop)
}

/// Parses `bytes` as a request body under Qdrant's inference contract.
pub fn qdrant_body(bytes: &[u8]) -> Result<()> {
    qdrant_inference::Request::parse(bytes, &MODEL).map(drop)
}
