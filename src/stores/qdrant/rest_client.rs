//! JSON over HTTP to a vector store: one request and its answer, with retries.
//!
//! ```text
//! ask -> any other status                           the answer
//!     -> 408, 429, 500, 502, 503, 504, no answer    again, later each time, Retry-After if it is longer
//!     -> for longer than RetryPolicy::give_up_after          the error, with its last cause
//! ```
//!
//! Invariants: a request that is asked again may have been done before, so every request must be one that may be
//! done twice; nobody waits beyond the call's deadline, because whoever takes documents drops work there.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Bytes;

use crate::aws::{Retry, RetryPolicy, connector};
use crate::config::Secret;
use crate::error::StoreError;

/// A restart of a store takes some ten seconds, a write that waits for a busy one as many; what lasts longer is left
/// to the event's next delivery. The time counts from the first failed attempt at a request.
pub const CALL_RETRY_POLICY: RetryPolicy = RetryPolicy {
    response_timeout: Duration::from_secs(30),
    give_up_after: Duration::from_secs(20),
    first_delay: Duration::from_millis(100),
    max_delay: Duration::from_secs(4),
};

/// A client of one server.
#[derive(Debug)]
pub struct RestClient {
    /// For messages.
    name: &'static str,
    /// Without a slash at its end.
    base: String,
    /// A header of every request.
    key: Option<(&'static str, Secret)>,
    connector: Connector,
    policy: RetryPolicy,
}

/// An answer.
#[derive(Debug)]
pub struct RestResponse {
    pub status: StatusCode,
    pub body: Bytes,
}

impl RestClient {
    /// Connects at the first request.
    pub fn new(name: &'static str, base: &str, key: Option<(&'static str, Secret)>, policy: RetryPolicy) -> Self {
        Self {
            name,
            base: base.trim_end_matches('/').to_owned(),
            key,
            connector: connector(base, ProxyConfig::disabled()),
            policy,
        }
    }

    /// Sends a request until its answer is final; `body` is JSON.
    pub async fn ask(&self, method: &Method, path: &str, body: &Bytes) -> Result<RestResponse, StoreError> {
        let (retry, silence) = (Retry::new(self.policy), format!("{} did not answer", self.name));
        retry.run(|| retry.in_time(&silence, self.once(method, path, body))).await
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
        let answer = RestResponse { status, body: body.to_bytes() };
        match is_retryable(status) {
            true => Err(StoreError { retry_after, ..StoreError::retryable(answer.describe(self.name)) }),
            false => Ok(answer),
        }
    }
}

impl RestResponse {
    /// The status and the beginning of the body, for people.
    pub fn describe(&self, name: &str) -> String {
        const SHOWN: usize = 300;
        let text = String::from_utf8_lossy(&self.body);
        let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
        format!("{name} answered {} {}", self.status.as_u16(), text.trim()).trim_end().to_owned()
    }
}

/// Whether the same request may get another answer later.
fn is_retryable(status: StatusCode) -> bool {
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
        };
        let said = answer.describe("Qdrant");
        assert!(said.starts_with("Qdrant answered 400 {\"error\": \"xxx") && said.len() < 350, "{said}");
    }

    #[test]
    fn a_request_that_keeps_failing_is_given_up_with_its_cause() {
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
