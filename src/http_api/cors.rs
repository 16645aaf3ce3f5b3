//! Cross-origin requests of browsers: the headers that let a page of an allowed origin read every answer, errors too.

use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method};

use crate::config::Config;
use crate::event::HttpRequest;

/// Our own headers and those that a client needs to try again.
const EXPOSED: &str = "x-model-id, x-truncated, x-compute-type, x-compute-characters, x-compute-tokens, x-compute-time, \
                       x-total-time, x-tokenization-time, x-inference-time, retry-after, www-authenticate, allow";

/// For a preflight that does not say which headers the request will have.
const USUAL_HEADERS: &str = "authorization, content-type, content-encoding";

/// The origins whose pages may call; cheap to clone.
#[derive(Debug, Clone)]
pub struct Cors {
    origins: std::sync::Arc<[String]>,
}

impl Cors {
    pub fn new(config: &Config) -> Self {
        Self { origins: config.cors_origins.clone().into() }
    }

    /// Whether a request is a preflight from an allowed origin: a browser asks whether it may send another request.
    pub fn is_preflight(&self, request: &HttpRequest) -> bool {
        request.method == Method::OPTIONS
            && request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && self.allowed(request).is_some()
    }

    /// Adds the headers of an answer to `request`, if its origin is allowed.
    pub fn add(&self, request: &HttpRequest, headers: &mut HeaderMap) {
        let Some(origin) = self.allowed(request) else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
        if request.method == Method::OPTIONS {
            let methods = headers.get(header::ALLOW).cloned().unwrap_or(HeaderValue::from_static("GET, POST, OPTIONS"));
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked_headers(&request.headers));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("7200"));
            headers.insert(header::VARY, HeaderValue::from_static("origin, access-control-request-headers"));
        }
    }

    fn allowed(&self, request: &HttpRequest) -> Option<HeaderValue> {
        let origin = request.headers.get(header::ORIGIN)?;
        if self.origins.iter().any(|allowed| allowed == "*") {
            return Some(HeaderValue::from_static("*"));
        }
        self.origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
    }
}

/// Every header that a preflight asks for: clients send some of their own, as OpenAI's `x-stainless-*`. A page gains no
/// rights by one more header.
fn asked_headers(headers: &HeaderMap) -> HeaderValue {
    let lists = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter().filter_map(|value| value.to_str().ok());
    let names = lists.flat_map(|list| list.split(',')).map(str::trim);
    let names: Vec<_> = names.filter(|name| HeaderName::from_bytes(name.as_bytes()).is_ok()).collect();
    let asked = HeaderValue::try_from(names.join(", ")).ok().filter(|value| !value.is_empty());
    asked.unwrap_or(HeaderValue::from_static(USUAL_HEADERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_that_is_asked_for_is_allowed_and_nothing_else_repeated() {
        for (asked, allowed) in [
            ("x-stainless-lang, x-stainless-os,authorization", "x-stainless-lang, x-stainless-os, authorization"),
            ("a b, x-fine, <script>, ", "x-fine"),
            ("", USUAL_HEADERS),
            (", ,", USUAL_HEADERS),
        ] {
            let asked = HeaderValue::from_static(asked);
            let headers = HeaderMap::from_iter([(header::ACCESS_CONTROL_REQUEST_HEADERS, asked)]);
            assert_eq!(asked_headers(&headers), allowed);
        }
        assert_eq!(asked_headers(&HeaderMap::new()), USUAL_HEADERS);
    }
}
