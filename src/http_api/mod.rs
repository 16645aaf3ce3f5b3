//! The HTTP API: the contracts of OpenAI, text-embeddings-inference and Qdrant over one model.
//!
//! ```text
//! HttpRequest -> base path, CORS, token -> ROUTES -> openai | tei | qdrant -> HttpResponse
//! bytes       -> direct                                                   -> one JSON object
//! ```
//!
//! Invariants: every response names the model (`x-model-id`); every truncated text is reported (`x-truncated`); a request
//! whose response would exceed Lambda's size is rejected before any text is embedded.

mod body;
mod cl100k;
mod dimensions;
mod direct;
mod docs_page;
mod model_names;
pub mod openai;
mod openai_input;
pub mod qdrant_inference;
mod response;
pub mod tei;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::value::RawValue;

use crate::concurrency::panics;
use crate::config::{Config, Secret};
use crate::embedding::{Embedder, Embeddings, Options};
use crate::error::{Error, Kind, Result};
use crate::event::{HttpRequest, HttpResponse, without_prefix};
use crate::model::Manifest;
use crate::observability::call::Call;

/// The contract of a path, whose shape its errors have as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contract {
    OpenAi,
    Tei,
    Qdrant,
}

#[derive(Debug, Clone, Copy)]
enum Route {
    Embeddings,
    Models,
    Embed,
    Similarity,
    Tokenize,
    Info,
    Inference,
    Health,
    Document,
    Docs,
}

/// Time reserved before a call's deadline: to encode the largest response and hand it to Lambda.
const ANSWER_TIME: Duration = Duration::from_millis(200);

const GET: &str = "GET, HEAD, OPTIONS";
const POST: &str = "POST, OPTIONS";

/// Path, contract, the `Allow` header, and the route.
const ROUTES: &[(&str, Contract, &str, Route)] = &[
    ("/v1/embeddings", Contract::OpenAi, POST, Route::Embeddings),
    ("/embeddings", Contract::OpenAi, POST, Route::Embeddings),
    ("/v1/models", Contract::OpenAi, GET, Route::Models),
    ("/embed", Contract::Tei, POST, Route::Embed),
    ("/", Contract::Tei, POST, Route::Embed),
    ("/similarity", Contract::Tei, POST, Route::Similarity),
    ("/tokenize", Contract::Tei, POST, Route::Tokenize),
    ("/info", Contract::Tei, GET, Route::Info),
    ("/qdrant/inference", Contract::Qdrant, POST, Route::Inference),
    ("/health", Contract::Tei, GET, Route::Health),
    ("/openapi.json", Contract::Tei, GET, Route::Document),
    ("/docs", Contract::Tei, GET, Route::Docs),
];

/// The contracts over one loaded model; cheap to clone.
#[derive(Clone)]
pub struct Api {
    embedder: Embedder,
    config: Arc<Config>,
    /// The token that a caller must send; `None`: none.
    token: Option<Secret>,
}

impl Api {
    pub fn new(embedder: Embedder, config: Arc<Config>, token: Option<Secret>) -> Self {
        Self { embedder, config, token }
    }

    /// The loaded model's id.
    pub fn model(&self) -> &str {
        &self.manifest().id
    }

    /// Runs of the model that have ended so far.
    pub fn runs(&self) -> u64 {
        self.embedder.runs()
    }

    fn manifest(&self) -> &Manifest {
        self.embedder.manifest()
    }

    /// Answers a direct invocation: a request body without HTTP around it.
    pub async fn direct(&self, body: &[u8], call: &Call) -> Result<Box<RawValue>> {
        direct::answer(self, body, call).await
    }

    /// Answers an HTTP request; an error becomes an answer in the shape of the path's contract.
    pub async fn http(&self, request: &HttpRequest, call: &Call) -> HttpResponse {
        let path = self.path(&request.path);
        let answer = match ROUTES.iter().find(|(route, ..)| *route == path) {
            Some(&(path, _, allow, route)) => {
                panics::caught("the request's handling panicked", self.routed(request, path, allow, route, call)).await
            }
            None => Err(Error::request(Kind::NotFound, None, not_found(path))),
        };
        let mut response = answer.unwrap_or_else(|error| {
            call.meter.fail(&error);
            self.error_response(&request.path, &error)
        });
        response::name_model(&mut response, &self.manifest().id);
        self.add_cors(request, &mut response.headers);
        if request.method == Method::HEAD {
            response.body.clear();
        }
        let response = response::compress(request, response).await.unwrap_or_else(|error| {
            call.meter.fail(&error);
            let mut response = self.error_response(&request.path, &error);
            self.add_cors(request, &mut response.headers);
            response
        });
        call.meter.note(|m| m.status = Some(response.status.as_u16()));
        response
    }

    /// `error` in the shape of the contract that a request's `path` speaks.
    pub fn error_response(&self, path: &str, error: &Error) -> HttpResponse {
        let path = self.path(path);
        let contract = match ROUTES.iter().find(|(route, ..)| *route == path) {
            Some((_, contract, ..)) => *contract,
            None if path.starts_with("/v1/") => Contract::OpenAi,
            None => Contract::Tei,
        };
        let mut response = response::error(error, contract);
        response::name_model(&mut response, &self.manifest().id);
        response
    }

    /// Whether `path` is the health check's, which is answered whatever the load.
    pub fn is_health_check(&self, path: &str) -> bool {
        self.path(path) == "/health"
    }

    /// A request's path as [`ROUTES`] has it.
    fn path<'a>(&self, path: &'a str) -> &'a str {
        let path = without_prefix(path, &self.config.base_path);
        if path.len() > 1 { path.trim_end_matches('/') } else { path }
    }

    async fn routed(
        &self,
        request: &HttpRequest,
        path: &str,
        allow: &'static str,
        route: Route,
        call: &Call,
    ) -> Result<HttpResponse> {
        if request.method == Method::OPTIONS {
            let mut response = response::empty(StatusCode::NO_CONTENT);
            response.headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            return Ok(response);
        }
        if !allow.split(", ").any(|method| request.method == method) {
            return Err(Error::MethodNotAllowed { path: path.to_owned(), allow });
        }
        // Health and documentation need no token: load balancers send none, and neither does a browser that opens
        // a page. Qdrant's route checks its own token, which may be in the body.
        if !matches!(route, Route::Health | Route::Document | Route::Docs | Route::Inference) {
            self.authorize(&request.headers)?;
        }
        let body = if allow == POST { self.json_body(request)? } else { Cow::default() };
        match route {
            Route::Embeddings => openai::embeddings(self, &body, call).await,
            Route::Models => Ok(openai::models(self)),
            Route::Embed => tei::embed(self, &body, call).await,
            Route::Similarity => tei::similarity(self, &body, call).await,
            Route::Tokenize => tei::tokenize(self, &body, call).await,
            Route::Info => Ok(tei::info(self)),
            Route::Inference => qdrant_inference::inference(self, request, &body, call).await,
            Route::Health => Ok(tei::health(self)),
            Route::Document => Ok(docs_page::document(self)),
            Route::Docs => Ok(docs_page::page()),
        }
    }

    /// The body, if its media type is JSON, absent, or curl's default for `-d`: the parsers report what is not JSON.
    fn json_body<'a>(&self, request: &'a HttpRequest) -> Result<Cow<'a, [u8]>> {
        let media = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let accepted = ["", "application/json", "application/x-www-form-urlencoded", "text/plain"];
        if !accepted.contains(&media.as_str()) && !media.ends_with("+json") {
            let message = format!("a body of type {media} is not taken; send application/json");
            return Err(Error::request(Kind::UnsupportedMedia, None, message));
        }
        request.bytes(self.config.limits.body_bytes)
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<()> {
        let Some(token) = &self.token else { return Ok(()) };
        let given = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let (scheme, sent) = given.split_at(given.len().min(7));
        if scheme.eq_ignore_ascii_case(b"bearer ") && constant_time_eq(sent, token.expose().as_bytes()) {
            return Ok(());
        }
        Err(unauthorized("a valid token is needed; send it as \"Authorization: Bearer …\""))
    }

    /// Adds CORS headers if the configuration allows the request's origin.
    fn add_cors(&self, request: &HttpRequest, headers: &mut HeaderMap) {
        let Some(origin) = request.headers.get(header::ORIGIN) else { return };
        let any = self.config.cors_origins.iter().any(|allowed| allowed == "*");
        if !any && !self.config.cors_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) {
            return;
        }
        let allowed = if any { HeaderValue::from_static("*") } else { origin.clone() };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        let exposed = HeaderValue::from_static("x-model-id, x-truncated, x-compute-tokens, x-total-time");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        if request.method == Method::OPTIONS {
            let methods = headers.get(header::ALLOW).cloned().unwrap_or(HeaderValue::from_static("GET, POST, OPTIONS"));
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            let request_headers = HeaderValue::from_static("authorization, content-type, content-encoding");
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, request_headers);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
        }
    }

    /// Checks the number of texts and the size of their response against the limits. `param` is the contract's name
    /// for the texts, `vector_bytes` the bytes of one vector in the response.
    fn admit(&self, texts: usize, param: &'static str, vector_bytes: usize) -> Result<()> {
        let limits = &self.config.limits;
        if texts == 0 {
            return Err(Error::request(Kind::Empty, param, format!("{param} is empty; send at least one text")));
        }
        let too_large = |message| Err(Error::request(Kind::TooLarge, param, message));
        if texts > limits.texts {
            return too_large(format!("{texts} texts in one request; the limit is {}", limits.texts));
        }
        let fit = limits.response_bytes / vector_bytes;
        if texts > fit {
            return too_large(format!(
                "the answer to {texts} texts would pass the {} bytes that one response may have; {fit} fit, and with \
                 \"encoding_format\": \"base64\" at /v1/embeddings at least twice as many",
                limits.response_bytes
            ));
        }
        Ok(())
    }

    /// The time that a call has for tokenising and embedding; `None` without a deadline.
    fn time_left(call: &Call) -> Option<Duration> {
        call.remaining().map(|left| left.saturating_sub(ANSWER_TIME))
    }

    /// Checks `texts` against every limit ([`admit`](Self::admit)), then embeds them.
    async fn embed(
        &self,
        texts: Vec<String>,
        options: Options,
        param: &'static str,
        vector_bytes: usize,
        call: &Call,
    ) -> Result<Embeddings> {
        self.admit(texts.len(), param, vector_bytes)?;
        let limits = &self.config.limits;
        let too_large = |message| Err(Error::request(Kind::TooLarge, param, message));
        let prepared = self.embedder.prepare_within(texts, options, Self::time_left(call)).await?;
        if prepared.total_tokens() > limits.tokens {
            let tokens = prepared.total_tokens();
            return too_large(format!("{tokens} tokens in one request; the limit is {}", limits.tokens));
        }
        call.meter.note(|m| m.tokenize += prepared.tokenize());
        let done = self.embedder.run_within(prepared, Self::time_left(call)).await;
        call.meter.note(|m| {
            if let Ok(done) = &done {
                m.texts += done.vectors.len();
                m.tokens += done.tokens.iter().sum::<usize>();
                m.truncated_count += done.truncated.len();
                m.run += done.timings.inference;
                m.embedded = Some(Instant::now());
            }
        });
        done
    }
}

/// The most bytes that a vector of `dimensions` takes as JSON numbers. The shortest form of an f32 below 1 has at most
/// 14 characters and rarely more than 12, so the mean over hundreds of them, commas included, stays below 13.
fn json_vector_bytes(dimensions: usize) -> usize {
    13 * dimensions + 64
}

fn unauthorized(message: &str) -> Error {
    Error::request(Kind::Unauthorized, None, message)
}

fn not_found(path: &str) -> String {
    let routes: Vec<_> = ROUTES.iter().map(|(route, ..)| *route).collect();
    format!("nothing is at {path}; there are {}", routes.join(", "))
}

/// Compares in a time that depends on the length alone, so that timing reveals no byte of the token.
fn constant_time_eq(given: &[u8], expected: &[u8]) -> bool {
    let difference = given.iter().zip(expected).fold(0, |sum, (a, b)| sum | (a ^ b));
    given.len() == expected.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_are_the_token() {
        assert!(constant_time_eq(b"sesame", b"sesame"));
        for other in ["", "sesam", "sesame2", "tesame", "sesamf", "essame", "emases", "SESAME"] {
            assert!(!constant_time_eq(other.as_bytes(), b"sesame"), "{other}");
        }
    }
}
