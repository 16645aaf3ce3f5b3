//! The HTTP API: the contracts of OpenAI, text-embeddings-inference, Qdrant and Ollama over one model.
//!
//! ```text
//! HttpRequest -> route, CORS, token -> openai | tei | qdrant | ollama -> HttpResponse, or a stream of its body's pieces
//! bytes       -> direct                                               -> one JSON object
//! ```
//!
//! Invariants: every response names the model (`x-model-id`); every truncated text is reported (`x-truncated`); a request
//! whose response would exceed what its front door takes is rejected before any text is embedded; every response to an
//! allowed origin has its CORS headers.

mod body;
mod cl100k;
mod cors;
mod dimensions;
mod direct;
mod docs_page;
mod input;
mod model_names;
mod ollama;
pub mod openai;
pub mod qdrant_inference;
mod response;
mod routes;
pub mod tei;
mod terms;
mod vector_list;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::value::RawValue;

pub use self::cors::Cors;
use self::openai::EncodingFormat;
pub use self::routes::Router;
use self::routes::{Route, RouteMatch};
use self::terms::{Room, Terms};
pub use self::vector_list::{Reply, VectorStream};
use crate::concurrency::panics;
use crate::config::{Config, Secret};
use crate::embedding::{Embedder, Embeddings, Options, Prepared};
use crate::error::{Error, Kind, Result};
use crate::event::{HttpRequest, HttpResponse};
use crate::model::Manifest;
use crate::observability::call::Call;

/// Time reserved before a call's deadline: to encode the largest response and hand it to Lambda.
const ANSWER_TIME: Duration = Duration::from_millis(200);

/// The contracts over one loaded model; cheap to clone.
#[derive(Clone)]
pub struct Api {
    embedder: Embedder,
    config: Arc<Config>,
    router: Router,
    cors: Cors,
    /// The token that a caller must send; `None`: none.
    token: Option<Secret>,
}

impl Api {
    pub fn new(embedder: Embedder, config: Arc<Config>, token: Option<Secret>) -> Self {
        let (router, cors) = (Router::new(&config), Cors::new(&config));
        Self { embedder, config, router, cors, token }
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

    /// Answers a direct invocation: a request body without HTTP around it. `used` bytes of the response are taken
    /// already, by the answers to other bodies.
    pub async fn direct(&self, body: &[u8], used: usize, call: &Call) -> Result<Box<RawValue>> {
        let terms = Terms { call, room: Room::direct(&self.config.limits, used), streamed: false };
        direct::answer(self, body, terms).await
    }

    /// Answers an HTTP request; an error becomes an answer in the shape of the path's contract.
    pub async fn http(&self, request: &HttpRequest, call: &Call) -> HttpResponse {
        match self.respond(request, false, call).await {
            Reply::Whole(response) => response,
            Reply::Stream(stream) => stream.head,
        }
    }

    /// [`http`](Self::http), for a response that may be `streamed`; one that lists vectors is then still to be computed.
    pub async fn respond(&self, request: &HttpRequest, streamed: bool, call: &Call) -> Reply {
        let terms = Terms { call, room: Room::of(request, streamed, &self.config.limits), streamed };
        let answer = match self.router.find(request) {
            Some(found) => panics::caught("the request's handling panicked", self.routed(request, &found, terms)).await,
            // Lets the page read that nothing is there.
            None if self.cors.is_preflight(request) => Ok(Reply::Whole(response::empty(StatusCode::NO_CONTENT))),
            None => Err(Error::request(Kind::NotFound, None, routes::not_found(request, self.model()))),
        };
        let mut reply = answer.unwrap_or_else(|error| {
            call.meter.fail(&error);
            Reply::Whole(self.error_response(request, &error))
        });
        let head = reply.head_mut();
        self.complete(request, head);
        if request.method == Method::HEAD {
            head.body.clear();
        }
        let reply = match reply {
            Reply::Whole(response) if !streamed => {
                Reply::Whole(response::compress(request, response).await.unwrap_or_else(|error| {
                    call.meter.fail(&error);
                    self.error_response(request, &error)
                }))
            }
            reply => reply,
        };
        let status = reply.head().status;
        call.meter.note(|m| m.status = Some(status.as_u16()));
        reply
    }

    /// `error` in the shape of the contract that a request's path speaks.
    pub fn error_response(&self, request: &HttpRequest, error: &Error) -> HttpResponse {
        let found = self.router.find(request);
        let contract = found.map_or_else(|| Router::contract_of_unknown(request), |found| found.contract);
        let mut response = response::error(error, contract);
        self.complete(request, &mut response);
        response
    }

    /// Adds the headers that every response has.
    fn complete(&self, request: &HttpRequest, response: &mut HttpResponse) {
        response::name_model(response, &self.manifest().id);
        self.cors.add(request, &mut response.headers);
    }

    /// Whether a request is a health check, which is answered whatever the load.
    pub fn is_health_check(&self, request: &HttpRequest) -> bool {
        self.router.is_health_check(request)
    }

    async fn routed(&self, request: &HttpRequest, found: &RouteMatch, terms: Terms<'_>) -> Result<Reply> {
        let allow = found.allow;
        if request.method == Method::OPTIONS {
            let mut response = response::empty(StatusCode::NO_CONTENT);
            response.headers.insert(header::ALLOW, HeaderValue::from_static(allow));
            return Ok(Reply::Whole(response));
        }
        let Some(route) = found.route else {
            return Err(Error::MethodNotAllowed { path: found.path.clone(), allow });
        };
        // Health and documentation need no token: load balancers send none, and neither does a browser that opens
        // a page. Qdrant's route checks its own token, which may be in the body.
        if !matches!(route, Route::Health | Route::Document | Route::Docs | Route::Inference) {
            self.authorize(&request.headers)?;
        }
        let body = if request.method == Method::POST { self.json_body(request)? } else { Cow::default() };
        Ok(Reply::Whole(match route {
            Route::Embeddings => return openai::embeddings(self, &body, terms).await,
            Route::Embed => return tei::embed(self, &body, terms).await,
            Route::Root => return tei::embed_or_compare(self, &body, terms).await,
            Route::Hub => {
                model_names::check(&found.id, self.manifest(), &self.config.model_aliases)?;
                return tei::embed_or_compare(self, &body, terms).await;
            }
            Route::OllamaEmbed => return ollama::embed(self, &body, terms).await,
            Route::OllamaTags => ollama::tags(self),
            Route::Models => openai::models(self),
            Route::Model => openai::model(self, &found.id)?,
            Route::Similarity => tei::similarity(self, &body, terms).await?,
            Route::Tokenize => tei::tokenize(self, &body, terms).await?,
            Route::Info => tei::info(self),
            Route::Inference => qdrant_inference::inference(self, request, &body, terms).await?,
            Route::Health => tei::health(self),
            Route::Document => docs_page::document(self),
            Route::Docs => docs_page::page(),
        }))
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

    /// Checks the number of texts and the size of their response against the limits. `param` is the contract's name
    /// for the texts, `vector_bytes` the bytes of one vector in the response, in `format`.
    fn admit(
        &self,
        texts: usize,
        param: &'static str,
        vector_bytes: usize,
        format: EncodingFormat,
        terms: Terms<'_>,
    ) -> Result<()> {
        let limits = &self.config.limits;
        if texts == 0 {
            return Err(Error::request(Kind::Empty, param, format!("{param} is empty; send at least one text")));
        }
        let too_large = |message| Err(Error::request(Kind::TooLarge, param, message));
        if texts > limits.texts {
            return too_large(format!("{texts} texts in one request; the limit is {}", limits.texts));
        }
        let room = terms.room.bytes();
        let fit = room / vector_bytes;
        if texts > fit {
            let more = match format {
                EncodingFormat::Float => {
                    ", and with \"encoding_format\": \"base64\" at /v1/embeddings at least twice as many"
                }
                EncodingFormat::Base64 => "",
            };
            return too_large(format!(
                "the answer to {texts} texts would pass the {room} bytes that this response may have; {fit} fit{more}"
            ));
        }
        Ok(())
    }

    /// The time that a call has for tokenising and embedding; `None` without a deadline.
    fn time_left(call: &Call) -> Option<Duration> {
        call.remaining().map(|left| left.saturating_sub(ANSWER_TIME))
    }

    /// Tokenises `texts`, which are [admitted](Self::admit).
    ///
    /// # Errors
    /// More tokens than one request may have, and those of [`Embedder::prepare_within`].
    async fn prepare(
        &self,
        texts: Vec<String>,
        options: Options,
        param: &'static str,
        terms: Terms<'_>,
    ) -> Result<Prepared> {
        let limits = &self.config.limits;
        let prepared = self.embedder.prepare_within(texts, options, Self::time_left(terms.call)).await?;
        let tokens = prepared.total_tokens();
        if tokens > limits.tokens {
            let message = format!("{tokens} tokens in one request; the limit is {}", limits.tokens);
            return Err(Error::request(Kind::TooLarge, param, message));
        }
        terms.call.meter.note(|m| m.tokenize += prepared.tokenize());
        Ok(prepared)
    }

    /// Embeds prepared texts within the call's time.
    async fn run(&self, prepared: Prepared, call: &Call) -> Result<Embeddings> {
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

fn unauthorized(message: &str) -> Error {
    Error::request(Kind::Unauthorized, None, message)
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
