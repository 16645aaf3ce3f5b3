//! JSON over HTTP to a vector store: one request and its answer, asked again while trouble passes.
//!
//! ```text
//! ask -> answered                                   the answer, whatever it says
//!     -> 408, 429, 500, 502, 503, 504, no answer    again, later each time, Retry-After if it is longer
//!     -> for longer than RetryPolicy::give_up_after          the error, with its last cause
//! ```
//!
//! Invariants: a request that is asked again may have been done before, so every request must be one that may be
//! done twice; nobody waits beyond the call's deadline, because whoever takes documents drops work there.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use tokio::time::{Instant, timeout};

use crate::aws::RetryPolicy;
use crate::config::Secret;
use crate::error::StoreError;
use crate::observability::call;

/// A restart of a store takes some ten seconds, a write that waits for a busy one as many; what lasts longer is left
/// to the event's next delivery. Trouble counts from the first failed attempt at a request.
pub const CALL_RETRY_POLICY: RetryPolicy = RetryPolicy {
    response_timeout: Duration::from_secs(30),
    give_up_after: Duration::from_secs(20),
    first_delay: Duration::from_millis(100),
    max_delay: Duration::from_secs(4),
};

/// A server, and who asks it.
#[derive(Debug)]
pub struct RestClient {
    /// For messages.
    name: &'static str,
    /// Without a slash at its end.
    base: String,
    /// A header that every request carries.
    key: Option<(&'static str, Secret)>,
    connector: Connector,
    policy: RetryPolicy,
}

/// What was answered.
#[derive(Debug)]
pub struct RestResponse {
    pub status: StatusCode,
    pub body: Bytes,
    retry_after: Option<Duration>,
}

impl RestClient {
    /// Connects at the first request. A server without TLS loads no root certificates.
    pub fn new(name: &'static str, base: &str, key: Option<(&'static str, Secret)>, policy: RetryPolicy) -> Self {
        let builder = Connector::builder();
        let connector = match base.starts_with("http://") {
            true => builder.build_http(),
            false => builder.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build(),
        };
        Self { name, base: base.trim_end_matches('/').to_owned(), key, connector, policy }
    }

    /// Asks until there is an answer that stays; `body` is JSON.
    pub async fn ask(&self, method: &Method, path: &str, body: &Bytes) -> Result<RestResponse, StoreError> {
        let (mut attempt, mut since) = (0, None);
        loop {
            attempt += 1;
            let (mut error, told) = match timeout(self.policy.response_timeout, self.once(method, path, body)).await {
                Ok(Ok(answer)) if !passes(answer.status) => return Ok(answer),
                Ok(Ok(answer)) => (StoreError::retryable(answer.said(self.name)), answer.retry_after),
                Ok(Err(error)) => (error, None),
                Err(_) => {
                    let limit = self.policy.response_timeout.as_secs_f32();
                    (StoreError::retryable(format!("{} did not answer within {limit:.0} s", self.name)), None)
                }
            };
            if !error.retryable {
                return Err(error);
            }
            let since = *since.get_or_insert_with(Instant::now);
            let pause = told.unwrap_or_default().max(self.policy.delay(attempt - 1));
            if since.elapsed() + pause >= self.policy.give_up_after {
                error.message = format!(
                    "{}; given up after {attempt} attempts in {:.1} s",
                    error.message,
                    since.elapsed().as_secs_f32()
                );
                return Err(error);
            }
            // Without what was answered, which may quote a record.
            let (id, pause_ms) = (call::request_id(), pause.as_millis() as u64);
            tracing::debug!(requestId = id, store = self.name, attempt, pause_ms, "asking again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn once(&self, method: &Method, path: &str, body: &Bytes) -> Result<RestResponse, StoreError> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if !body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some((name, value)) = &self.key {
            request = request.header(*name, value.expose());
        }
        let request = request.body(SdkBody::from(body.clone()));
        let unasked = || format!("{} cannot be asked so", self.name);
        let request = request.map_err(|e| StoreError::permanent(unasked()).with_source(e))?;
        let request = HttpRequest::try_from(request).map_err(|e| StoreError::permanent(unasked()).with_source(e))?;
        let response = self.connector.call(request).await.map_err(|error| {
            let message = format!("{} at {} could not be asked", self.name, self.base);
            StoreError { retryable: !error.is_user(), ..StoreError::retryable(message) }.with_source(error)
        })?;
        let status = StatusCode::from_u16(response.status().as_u16());
        let status =
            status.map_err(|e| StoreError::retryable(format!("{} answered oddly", self.name)).with_source(e))?;
        let retry_after = response.headers().get(header::RETRY_AFTER.as_str()).and_then(|seconds| seconds.parse().ok());
        let retry_after = retry_after.map(Duration::from_secs);
        let body =
            response.into_body().collect().await.map_err(|cause| {
                StoreError::retryable(format!("{}'s answer broke off", self.name)).with_source(cause)
            })?;
        Ok(RestResponse { status, body: body.to_bytes(), retry_after })
    }
}

impl RestResponse {
    /// The status and the beginning of what was said, for people.
    pub fn said(&self, name: &str) -> String {
        const SHOWN: usize = 300;
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
        format!("{name} answered {} {}", self.status.as_u16(), text.trim()).trim_end().to_owned()
    }
}

/// Whether the same request may be answered otherwise in a while.
fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_shown_in_short_and_on_one_line() {
        let answer = RestResponse {
            status: StatusCode::BAD_REQUEST,
            body: Bytes::from(format!("{{\"error\":\n\"{}\"}}", "x".repeat(1000))),
            retry_after: None,
        };
        let said = answer.said("Qdrant");
        assert!(said.starts_with("Qdrant answered 400 {\"error\": \"xxx") && said.len() < 350, "{said}");
    }

    #[test]
    fn trouble_is_given_up_with_its_cause() {
        let ms = Duration::from_millis(1);
        let policy =
            RetryPolicy { response_timeout: ms * 500, give_up_after: ms * 60, first_delay: ms, max_delay: ms * 8 };
        // Nothing listens on the port that was free a moment ago.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let http = RestClient::new("Qdrant", &format!("http://{address}/"), None, policy);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(http.ask(&Method::GET, "/", &Bytes::new())).unwrap_err();
        assert!(error.retryable && error.message.contains(&format!("http://{address} could not be asked")));
        assert!(error.message.contains("given up after") && !error.message.contains("after 1 attempts"));
    }
}
