//! Making answers: JSON, errors in each contract's shape, the headers every answer carries, gzip.

use std::io::Write;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::Contract;
use crate::embed::Embeddings;
use crate::error::Error;
use crate::event::{Door, HttpReply, HttpRequest};

/// Answers below this many bytes are sent as they are: packing them, and the base64 that a packed body
/// needs on its way through Lambda, costs more than it saves.
const COMPRESS_FROM_BYTES: usize = 16 * 1024;

pub fn empty(status: StatusCode) -> HttpReply {
    HttpReply { status, headers: HeaderMap::new(), body: Vec::new() }
}

pub fn json(value: &impl Serialize) -> HttpReply {
    with_type("application/json", serde_json::to_vec(value).expect("our own types always serialise"))
}

pub fn with_type(media: &'static str, body: Vec<u8>) -> HttpReply {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media))]);
    HttpReply { status: StatusCode::OK, headers, body }
}

/// `error` as `contract` shows errors.
pub(super) fn error(error: &Error, contract: Contract) -> HttpReply {
    let row = error.kind().row();
    let message = error.public_message();
    let (status, body) = match contract {
        Contract::OpenAi => {
            let error =
                json!({"message": message, "type": row.openai_type, "param": error.param(), "code": row.openai_code});
            (row.status, json!({ "error": error }))
        }
        Contract::Qdrant => (row.qdrant_status(), json!({ "error": message })),
        Contract::Tei => (row.tei_status, json!({"error": message, "error_type": row.tei_type})),
    };
    let mut reply = json(&body);
    reply.status = StatusCode::from_u16(status).expect("the table holds valid statuses");
    match error {
        Error::MethodNotAllowed { allow, .. } => {
            reply.headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        _ if status == 401 => {
            reply.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ if matches!(status, 429 | 503) => {
            // Seconds: a queue moves on within one, and what was too much for this call fits a smaller one at once.
            reply.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    reply
}

/// Every answer names the model that made it.
pub fn name_model(reply: &mut HttpReply, id: &str) {
    set(&mut reply.headers, "x-model-id", id);
}

/// What was done for this answer: text-embeddings-inference's headers, times in milliseconds, and which
/// texts were cut.
pub fn describe(reply: &mut HttpReply, done: &Embeddings, characters: usize) {
    let timings = &done.timings;
    let ms = |time: std::time::Duration| time.as_millis().to_string();
    let headers = &mut reply.headers;
    headers.insert(HeaderName::from_static("x-compute-type"), HeaderValue::from_static("cpu"));
    set(headers, "x-compute-characters", &characters.to_string());
    set(headers, "x-compute-tokens", &done.tokens.iter().sum::<usize>().to_string());
    set(headers, "x-compute-time", &ms(timings.tokenize + timings.inference));
    set(headers, "x-total-time", &ms(timings.tokenize + timings.inference));
    set(headers, "x-tokenization-time", &ms(timings.tokenize));
    set(headers, "x-inference-time", &ms(timings.inference));
    if !done.truncated.is_empty() {
        set(headers, "x-truncated", &shown_indices(&done.truncated));
    }
}

/// `0,5,9`, at most 100 of them: a header has its limits.
fn shown_indices(indices: &[usize]) -> String {
    const SHOWN: usize = 100;
    let mut shown: Vec<_> = indices.iter().take(SHOWN).map(usize::to_string).collect();
    if indices.len() > SHOWN {
        shown.push(format!("and {} more", indices.len() - SHOWN));
    }
    shown.join(",")
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // What is no header value (a control character in a model's id) is left out rather than fatal.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Packs a large answer when the client takes gzip. Not behind a REST API, which hands a body's base64 on as
/// it is unless its binary media types are set up; it packs answers itself when it is told to.
pub fn compress(request: &HttpRequest, mut reply: HttpReply) -> HttpReply {
    if request.door == Door::V1 {
        return reply;
    }
    let accepts = request.headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let gzip = accepts.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        named && !parts.any(|q| matches!(q, "q=0" | "q=0.0"))
    });
    if !gzip || reply.body.len() < COMPRESS_FROM_BYTES {
        return reply;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let packed = encoder.write_all(&reply.body).and_then(|()| encoder.finish());
    if let Ok(packed) = packed {
        reply.body = packed;
        reply.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        // One value, because not every door can repeat a header.
        let vary = match reply.headers.contains_key(header::VARY) {
            true => "origin, accept-encoding",
            false => "accept-encoding",
        };
        reply.headers.insert(header::VARY, HeaderValue::from_static(vary));
    }
    reply
}
