//! AWS's HTTP front doors: decodes their events to an [`HttpRequest`], encodes an [`HttpResponse`] as the response that
//! the same front door expects.

use std::borrow::Cow;
use std::io::Read;

use aws_lambda_events::encodings::Body;
use aws_lambda_events::event::alb::{AlbTargetGroupRequest, AlbTargetGroupResponse};
use aws_lambda_events::event::apigw::{
    ApiGatewayProxyRequest, ApiGatewayProxyResponse, ApiGatewayV2httpRequest, ApiGatewayV2httpResponse,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::Invocation;
use crate::error::{Error, Kind, Result};

/// The front door that sent a request, which decides the response's envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSource {
    /// API Gateway HTTP API with payload 2.0, and Lambda Function URLs, which speak the same.
    ApiGatewayV2,
    /// API Gateway REST API, payload 1.0.
    ApiGatewayV1,
    /// Application Load Balancer. It reads `multiValueHeaders` or `headers`, by its own setting.
    Alb { multi_value: bool },
}

/// A request, from any front door.
#[derive(Debug)]
pub struct HttpRequest {
    pub method: Method,
    /// Path without the API's stage.
    pub path: String,
    /// Names are lower-case, as [`HeaderMap`] keeps them.
    pub headers: HeaderMap,
    /// As it arrived; [`HttpRequest::bytes`] undoes base64 and gzip.
    pub body: Vec<u8>,
    pub is_base64: bool,
    /// Whether an answer that is compressed on request reaches the client as such bytes. A REST API hands its base64
    /// on unless binary media types are set up there; it compresses by itself if configured to.
    pub binary_answers: bool,
}

/// A response without a front door's envelope.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

pub(super) fn decode_v2(event: &[u8]) -> Result<Invocation> {
    let event: ApiGatewayV2httpRequest = parse(event, "API Gateway HTTP API (payload 2.0)")?;
    let context = event.request_context;
    let path = event.raw_path.or(context.http.path).unwrap_or_default();
    // Only the API's own host name has the stage in its path; EMBED_BASE_PATH removes a custom domain's base path.
    let own_host = context.domain_name.is_some_and(|host| host.contains(".execute-api."));
    let path = match context.stage {
        Some(stage) if own_host && stage != "$default" => without_prefix(&path, &format!("/{stage}")).to_owned(),
        _ => path,
    };
    let request = HttpRequest {
        method: context.http.method,
        path,
        headers: event.headers,
        body: event.body.unwrap_or_default().into_bytes(),
        is_base64: event.is_base64_encoded,
        binary_answers: true,
    };
    Ok(Invocation::Http(EventSource::ApiGatewayV2, request))
}

pub(super) fn decode_v1(event: &[u8]) -> Result<Invocation> {
    let event: ApiGatewayProxyRequest = parse(event, "API Gateway REST API (payload 1.0)")?;
    let request = HttpRequest {
        method: event.http_method,
        path: event.path.unwrap_or_default(),
        headers: if event.multi_value_headers.is_empty() { event.headers } else { event.multi_value_headers },
        body: event.body.unwrap_or_default().into_bytes(),
        is_base64: event.is_base64_encoded,
        binary_answers: false,
    };
    Ok(Invocation::Http(EventSource::ApiGatewayV1, request))
}

pub(super) fn decode_alb(event: &[u8]) -> Result<Invocation> {
    let event: AlbTargetGroupRequest = parse(event, "Application Load Balancer")?;
    let multi_value = !event.multi_value_headers.is_empty();
    let request = HttpRequest {
        method: event.http_method,
        path: event.path.unwrap_or_default(),
        headers: if multi_value { event.multi_value_headers } else { event.headers },
        body: event.body.unwrap_or_default().into_bytes(),
        is_base64: event.is_base64_encoded,
        binary_answers: true,
    };
    Ok(Invocation::Http(EventSource::Alb { multi_value }, request))
}

fn parse<T: DeserializeOwned>(event: &[u8], event_source: &str) -> Result<T> {
    serde_json::from_slice(event)
        .map_err(|e| Error::UnknownEvent(format!("this looks like an event of {event_source}, but it is not one: {e}")))
}

/// `path` without `prefix`, if `prefix` consists of whole segments.
pub fn without_prefix<'a>(path: &'a str, prefix: &str) -> &'a str {
    match path.strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

impl HttpRequest {
    /// The body's bytes: base64 undone, gzip decompressed, at most `limit` bytes.
    ///
    /// # Errors
    /// A request error for invalid base64, invalid gzip, another encoding, or too many bytes.
    pub fn bytes(&self, limit: usize) -> Result<Cow<'_, [u8]>> {
        let too_large =
            || Error::request(Kind::TooLarge, None, format!("the body is larger than {limit} bytes, its limit"));
        let malformed = |what: &str| Error::request(Kind::Malformed, None, format!("the body is not {what}"));
        let compressed = if self.is_base64 {
            let decoded = BASE64.decode(&self.body);
            Cow::Owned(decoded.map_err(|e| malformed(&format!("valid base64 ({e}), though it says so")))?)
        } else {
            Cow::Borrowed(self.body.as_slice())
        };
        let encoding = self.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
        let bytes = match encoding.map(|name| name.to_ascii_lowercase()).as_deref() {
            None | Some(b"" | b"identity") => compressed,
            Some(b"gzip") => {
                let mut decompressed = Vec::new();
                // One byte more than allowed tells a body at the limit from one beyond it.
                let mut reader = flate2::read::MultiGzDecoder::new(&*compressed).take(limit as u64 + 1);
                reader
                    .read_to_end(&mut decompressed)
                    .map_err(|_| malformed("valid gzip, though its Content-Encoding says so"))?;
                Cow::Owned(decompressed)
            }
            Some(_) => {
                let message = "this Content-Encoding is not understood; send gzip or none";
                return Err(Error::request(Kind::UnsupportedMedia, None, message));
            }
        };
        if bytes.len() > limit { Err(too_large()) } else { Ok(bytes) }
    }
}

impl EventSource {
    /// `response` in the envelope that this event source expects.
    pub fn encode(self, response: HttpResponse) -> Result<Box<RawValue>> {
        let HttpResponse { status, headers, body } = response;
        let status_code = i64::from(status.as_u16());
        let (body, is_base64_encoded) = match String::from_utf8(body) {
            Ok(text) => (Body::Text(text), false),
            Err(bytes) => (Body::Text(BASE64.encode(bytes.as_bytes())), true),
        };
        let body = Some(body);
        let encoded = match self {
            Self::ApiGatewayV2 => {
                let mut answer = ApiGatewayV2httpResponse::default();
                (answer.status_code, answer.headers) = (status_code, headers);
                (answer.body, answer.is_base64_encoded) = (body, is_base64_encoded);
                serde_json::value::to_raw_value(&answer)
            }
            Self::ApiGatewayV1 => {
                let mut answer = ApiGatewayProxyResponse::default();
                (answer.status_code, answer.multi_value_headers) = (status_code, headers);
                (answer.body, answer.is_base64_encoded) = (body, is_base64_encoded);
                serde_json::value::to_raw_value(&answer)
            }
            Self::Alb { multi_value } => {
                let mut answer = AlbTargetGroupResponse::default();
                let reason = status.canonical_reason().unwrap_or_default();
                (answer.status_code, answer.status_description) =
                    (status_code, Some(format!("{status_code} {reason}")));
                (answer.body, answer.is_base64_encoded) = (body, is_base64_encoded);
                *(if multi_value { &mut answer.multi_value_headers } else { &mut answer.headers }) = headers;
                serde_json::value::to_raw_value(&answer)
            }
        };
        encoded.map_err(|e| Error::internal("the response cannot be encoded", e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: String, is_base64: bool, encoding: Option<&'static str>) -> HttpRequest {
        let encoding = encoding.map(|name| (header::CONTENT_ENCODING, HeaderValue::from_static(name)));
        let (method, path) = (Method::POST, "/".to_owned());
        let headers = HeaderMap::from_iter(encoding);
        HttpRequest { method, path, headers, body: body.into_bytes(), is_base64, binary_answers: true }
    }

    proptest::proptest! {
        #[test]
        fn a_body_arrives_as_it_was_however_it_was_encoded(bytes: Vec<u8>, level in 0u32..10) {
            use std::io::Write;
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(&bytes).unwrap();
            let compressed = BASE64.encode(encoder.finish().unwrap());
            let limit = bytes.len();
            assert_eq!(request(BASE64.encode(&bytes), true, None).bytes(limit).unwrap(), bytes);
            assert_eq!(request(compressed.clone(), true, Some("gzip")).bytes(limit).unwrap(), bytes);
            if limit > 0 {
                let error = request(compressed, true, Some("gzip")).bytes(limit - 1).unwrap_err();
                assert_eq!(error.kind(), Kind::TooLarge);
            }
        }

        #[test]
        fn an_answer_of_any_bytes_leaves_through_every_door(body: Vec<u8>, status in 200u16..600) {
            for event_source in [EventSource::ApiGatewayV2, EventSource::ApiGatewayV1, EventSource::Alb { multi_value: false }, EventSource::Alb { multi_value: true }] {
                let status = StatusCode::from_u16(status).unwrap();
                let response = HttpResponse { status, headers: HeaderMap::new(), body: body.clone() };
                let sent: serde_json::Value = serde_json::from_str(event_source.encode(response).unwrap().get()).unwrap();
                let text = sent["body"].as_str().unwrap();
                let received = match sent["isBase64Encoded"].as_bool().unwrap() {
                    true => BASE64.decode(text).unwrap(),
                    false => text.as_bytes().to_vec(),
                };
                assert_eq!((received, sent["statusCode"].as_u64()), (body.clone(), Some(u64::from(status.as_u16()))));
            }
        }
    }

    #[test]
    fn a_prefix_is_taken_off_by_whole_segments() {
        assert_eq!(without_prefix("/prod/embed", "/prod"), "/embed");
        assert_eq!(without_prefix("/prod", "/prod"), "/");
        assert_eq!(without_prefix("/product/embed", "/prod"), "/product/embed");
        assert_eq!(without_prefix("/embed", ""), "/embed");
    }
}
