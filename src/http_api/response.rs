//! Responses: JSON, errors in each contract's shape, the headers that every response has, gzip.

use std::io::Write;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::openai::EncodingFormat;
use super::routes::Contract;
use crate::concurrency::offload;
use crate::embedding::Embeddings;
use crate::error::{Error, Result};
use crate::event::{HttpRequest, HttpResponse};

/// Smaller responses are not compressed: gzip, and the base64 that Lambda needs for it, costs more than it saves.
const COMPRESS_FROM_BYTES: usize = 16 * 1024;

pub fn empty(status: StatusCode) -> HttpResponse {
    HttpResponse { status, headers: HeaderMap::new(), body: Vec::new() }
}

pub fn json(value: &impl Serialize) -> HttpResponse {
    with_type("application/json", serde_json::to_vec(value).expect("our own types always serialise"))
}

pub fn with_type(media: &'static str, body: Vec<u8>) -> HttpResponse {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media))]);
    HttpResponse { status: StatusCode::OK, headers, body }
}

/// `error` as `contract` shows errors.
pub(super) fn error(error: &Error, contract: Contract) -> HttpResponse {
    let row = error.kind().row();
    let message = error.public_message();
    let (status, body) = match contract {
        Contract::OpenAi => {
            let error =
                json!({"message": message, "type": row.openai_type, "param": error.param(), "code": row.openai_code});
            (row.status, json!({ "error": error }))
        }
        Contract::Qdrant => (row.qdrant_status(), json!({ "error": message })),
        Contract::Ollama => (row.status, json!({ "error": message })),
        Contract::Tei => (row.tei_status, json!({"error": message, "error_type": row.tei_type})),
    };
    let mut response = json(&body);
    response.status = StatusCode::from_u16(status).expect("the table holds valid statuses");
    match error {
        Error::MethodNotAllowed { allow, .. } => {
            response.headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        _ if status == 401 => {
            response.headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ if matches!(status, 429 | 503) => {
            // Seconds: calls under way end within about one.
            response.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

/// The response that `write` makes of `done`, with [`describe`]'s headers; a large one is written on a thread of its own.
pub async fn of(
    done: Embeddings,
    characters: usize,
    write: impl FnOnce(&Embeddings) -> HttpResponse + Send + 'static,
) -> Result<HttpResponse> {
    offload::spawn_blocking_if(is_large(&done), "writing an answer panicked", move |_| {
        let mut response = write(&done);
        describe(&mut response, &done, characters);
        Ok(response)
    })
    .await
}

/// Whether a response with these vectors is written on a thread of its own.
pub fn is_large(done: &Embeddings) -> bool {
    let bytes: usize = done.vectors.iter().map(|vector| EncodingFormat::Float.vector_bytes(vector.len())).sum();
    bytes >= offload::FROM_BYTES
}

/// Adds the header that names the model.
pub fn name_model(response: &mut HttpResponse, id: &str) {
    set(&mut response.headers, "x-model-id", id);
}

/// Adds text-embeddings-inference's headers (counts, times in milliseconds) and the indices of truncated texts.
pub fn describe(response: &mut HttpResponse, done: &Embeddings, characters: usize) {
    let timings = &done.timings;
    describe_texts(response, characters, done.tokens.iter().sum(), &done.truncated, timings.tokenize);
    let headers = &mut response.headers;
    set(headers, "x-compute-time", &ms(timings.tokenize + timings.inference));
    set(headers, "x-total-time", &ms(timings.tokenize + timings.inference));
    set(headers, "x-inference-time", &ms(timings.inference));
}

/// Adds those headers of [`describe`] that are known before a vector is computed.
pub fn describe_texts(
    response: &mut HttpResponse,
    characters: usize,
    tokens: usize,
    truncated: &[usize],
    tokenize: Duration,
) {
    let headers = &mut response.headers;
    headers.insert(HeaderName::from_static("x-compute-type"), HeaderValue::from_static("cpu"));
    set(headers, "x-compute-characters", &characters.to_string());
    set(headers, "x-compute-tokens", &tokens.to_string());
    set(headers, "x-tokenization-time", &ms(tokenize));
    if !truncated.is_empty() {
        set(headers, "x-truncated", &shown_indices(truncated));
    }
}

fn ms(time: Duration) -> String {
    time.as_millis().to_string()
}

/// For example `0,5,9`; at most 100 indices, because front doors limit a header's size.
fn shown_indices(indices: &[usize]) -> String {
    const SHOWN: usize = 100;
    let mut shown: Vec<_> = indices.iter().take(SHOWN).map(usize::to_string).collect();
    if indices.len() > SHOWN {
        shown.push(format!("and {} more", indices.len() - SHOWN));
    }
    shown.join(",")
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // A value that no header can have, such as a model's id with a control character, is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Compresses a large answer when the client takes gzip, the largest ones on a thread of their own.
///
/// # Errors
/// A panic while compressing.
pub async fn compress(request: &HttpRequest, response: HttpResponse) -> Result<HttpResponse> {
    if !request.answer.compressed {
        return Ok(response);
    }
    let accepts = request.headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let accepts_gzip = accepts.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        named && !parts.any(|q| matches!(q, "q=0" | "q=0.0"))
    });
    if !accepts_gzip || response.body.len() < COMPRESS_FROM_BYTES {
        return Ok(response);
    }
    offload::spawn_blocking_if(
        response.body.len() >= offload::FROM_BYTES,
        "compressing an answer panicked",
        move |_| Ok(gzip(response)),
    )
    .await
}

fn gzip(mut response: HttpResponse) -> HttpResponse {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let compressed = encoder.write_all(&response.body).and_then(|()| encoder.finish());
    // An envelope carries it as base64, which makes four bytes of three.
    if let Ok(compressed) = compressed
        && compressed.len() / 3 * 4 < response.body.len()
    {
        response.body = compressed;
        response.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        // One value, because not every event source can repeat a header.
        let vary = match response.headers.contains_key(header::VARY) {
            true => "origin, accept-encoding",
            false => "accept-encoding",
        };
        response.headers.insert(header::VARY, HeaderValue::from_static(vary));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AnswerTerms, BodyEncoding};
    use http::Method;
    use std::task::Poll;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn taking_gzip() -> HttpRequest {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        let answer = AnswerTerms { compressed: true, ..AnswerTerms::default() };
        let (method, path, body, encoding) = (Method::POST, "/embed".to_owned(), Vec::new(), BodyEncoding::Binary);
        HttpRequest { method, path, stage: None, headers, body, encoding, answer }
    }

    #[test]
    fn answers_are_compressed_from_a_size_on() {
        let request = taking_gzip();
        for (bytes, compressed) in [(16_383, false), (16_384, true), (offload::FROM_BYTES, true)] {
            let response = block_on(compress(&request, with_type("text/plain", vec![b'a'; bytes]))).unwrap();
            assert_eq!(response.headers.contains_key(header::CONTENT_ENCODING), compressed, "{bytes}");
            assert_eq!(response.body.len() < bytes, compressed, "{bytes}");
        }
    }

    #[test]
    fn what_compression_would_not_make_smaller_stays_as_it_is() {
        // Base64 of bytes without any pattern: gzip takes off what base64 adds again.
        let mut state = 0x9e37_79b9_u32;
        let noise = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[(state >> 26) as usize]
        };
        let body: Vec<u8> = (0..50_000).map(noise).collect();
        let response = block_on(compress(&taking_gzip(), with_type("text/plain", body.clone()))).unwrap();
        assert_eq!((response.body, response.headers.get(header::CONTENT_ENCODING)), (body, None));
    }

    fn many(vectors: usize) -> Embeddings {
        let (tokens, timings) = (vec![3; vectors], crate::embedding::Timings::default());
        Embeddings { vectors: vec![vec![0.1; 384]; vectors], tokens, truncated: Vec::new(), timings }
    }

    #[test]
    fn an_answer_of_many_vectors_is_written_on_another_thread() {
        let here = std::thread::current().id();
        for (vectors, offloaded) in [(1, false), (10, false), (20, true), (2_048, true)] {
            let write = move |done: &Embeddings| {
                assert_eq!(std::thread::current().id() != here, offloaded, "{vectors} vectors");
                json(&done.vectors)
            };
            let response = block_on(of(many(vectors), 5, write)).unwrap();
            assert_eq!(response.headers["x-compute-characters"], "5");
            assert_eq!(serde_json::from_slice::<Vec<Vec<f32>>>(&response.body).unwrap().len(), vectors);
        }
    }

    #[test]
    fn a_large_answer_is_compressed_on_another_thread() {
        let request = taking_gzip();
        for (bytes, offloaded) in [(COMPRESS_FROM_BYTES, false), (offload::FROM_BYTES, true)] {
            block_on(async {
                let mut compressing = std::pin::pin!(compress(&request, with_type("text/plain", vec![b'a'; bytes])));
                // What this thread compresses is ready at the first poll.
                let first = std::future::poll_fn(|waker| Poll::Ready(compressing.as_mut().poll(waker))).await;
                assert_eq!(first.is_pending(), offloaded, "{bytes}");
                if offloaded {
                    assert!(compressing.await.unwrap().headers.contains_key(header::CONTENT_ENCODING));
                }
            });
        }
    }

    #[test]
    fn a_header_lists_a_hundred_cut_texts_and_counts_the_others() {
        let shown = |count: usize| shown_indices(&(0..count).collect::<Vec<_>>());
        assert_eq!((shown(1).as_str(), shown(3).as_str()), ("0", "0,1,2"));
        assert!(shown(100).ends_with(",98,99"), "{}", shown(100));
        assert!(shown(101).ends_with(",98,99,and 1 more"), "{}", shown(101));
        assert!(shown(350).ends_with(",98,99,and 250 more"), "{}", shown(350));
    }
}
