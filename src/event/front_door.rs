//! AWS's HTTP front doors: decodes their events to an [`HttpRequest`], encodes an [`HttpResponse`] as the response that
//! the same front door expects.
//!
//! | front door | method | path | headers |
//! |---|---|---|---|
//! | HTTP API (payload 2.0), Function URL | `requestContext.http.method` | `rawPath` | `headers` |
//! | REST API (payload 1.0), load balancer | `httpMethod` | `path` | `headers`, `multiValueHeaders` |
//! | VPC Lattice, payload 2.0 | `method` | `path` | `headers`, each a list |
//! | VPC Lattice, payload 1.0 | `method` | `raw_path` | `headers` |

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::http::{AnswerTerms, BodyEncoding, HttpRequest, HttpResponse};
use super::lenient::{self, Flag, Headers, Maybe, MaybeObject};
use crate::error::{Error, Result};

/// Bytes of a response that Lambda passes on: 6 MiB and 100 bytes, of the JSON as it is sent.
const LARGEST_OF_LAMBDA: usize = 6 * 1024 * 1024 + 100;

/// Bytes of a response that a load balancer passes on, of the same JSON. Its documentation says 1 MB, which is taken as
/// the smaller of its two meanings.
const LARGEST_OF_ALB: usize = 1_000_000;

/// The front door that sent a request, which decides the response's envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSource {
    /// API Gateway HTTP API with payload 2.0, and Lambda Function URLs, which speak the same.
    ApiGatewayV2,
    /// API Gateway REST API, payload 1.0.
    ApiGatewayV1,
    /// Application Load Balancer. It reads `multiValueHeaders` or `headers`, by its own setting.
    Alb { multi_value: bool },
    /// A target group of VPC Lattice.
    VpcLattice,
}

/// The fields that are used of all front doors' events.
#[derive(Deserialize, Default)]
#[serde(default)]
struct RequestEvent<'a> {
    #[serde(rename = "httpMethod")]
    http_method: Maybe<String>,
    method: Maybe<String>,
    path: Maybe<String>,
    #[serde(rename = "rawPath")]
    raw_path: Maybe<String>,
    #[serde(rename = "raw_path")]
    lattice_path: Maybe<String>,
    headers: Maybe<Headers>,
    #[serde(rename = "multiValueHeaders")]
    multi_value_headers: Maybe<Headers>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(rename = "isBase64Encoded")]
    is_base64: Flag,
    #[serde(rename = "is_base64_encoded")]
    lattice_is_base64: Flag,
    #[serde(rename = "requestContext")]
    context: MaybeObject<Context>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Context {
    http: MaybeObject<HttpContext>,
    stage: Maybe<String>,
    #[serde(rename = "domainName")]
    domain_name: Maybe<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct HttpContext {
    method: Maybe<String>,
    path: Maybe<String>,
}

impl EventSource {
    /// The request in an event of this source. A load balancer's event says itself which headers are to come back.
    ///
    /// # Errors
    /// [`Error::UnknownEvent`] for an event without a method.
    pub(super) fn decode(self, event: &str) -> Result<(Self, HttpRequest)> {
        let event: RequestEvent<'_> = serde_json::from_str(event).map_err(|e| self.is_not(&e.to_string()))?;
        let context = event.context.0.unwrap_or_default();
        let http = context.http.0.unwrap_or_default();
        let multi_value_headers = event.multi_value_headers.0.unwrap_or_default().0;
        let source = match self {
            Self::Alb { .. } => Self::Alb { multi_value: !multi_value_headers.is_empty() },
            other => other,
        };
        let (method, path) = match self {
            Self::ApiGatewayV2 => (http.method.0, event.raw_path.0.or(http.path.0)),
            Self::ApiGatewayV1 | Self::Alb { .. } => (event.http_method.0, event.path.0),
            Self::VpcLattice => (event.method.0, event.path.0.or(event.lattice_path.0)),
        };
        let method = method.and_then(|method| Method::from_bytes(method.as_bytes()).ok());
        let answer = AnswerTerms {
            largest: Some(self.largest()),
            compressed: self != Self::ApiGatewayV1,
            streamed: match self {
                // An HTTP API sends the same event and cannot stream. It always says its host.
                Self::ApiGatewayV2 => context.domain_name.0.is_none_or(|host| host.contains(".lambda-url.")),
                Self::ApiGatewayV1 => true,
                Self::Alb { .. } | Self::VpcLattice => false,
            },
        };
        let request = HttpRequest {
            method: method.ok_or_else(|| self.is_not("it has no method"))?,
            path: path.unwrap_or_default(),
            stage: context.stage.0.filter(|stage| stage != "$default"),
            headers: merged(multi_value_headers, event.headers.0.unwrap_or_default().0),
            body: body(event.body),
            encoding: match event.is_base64.0 || event.lattice_is_base64.0 {
                true => BodyEncoding::Base64,
                false => BodyEncoding::Text,
            },
            answer,
        };
        Ok((source, request))
    }

    fn is_not(self, why: &str) -> Error {
        let name = match self {
            Self::ApiGatewayV2 => "API Gateway HTTP API (payload 2.0)",
            Self::ApiGatewayV1 => "API Gateway REST API (payload 1.0)",
            Self::Alb { .. } => "Application Load Balancer",
            Self::VpcLattice => "VPC Lattice",
        };
        Error::UnknownEvent(format!("this looks like an event of {name}, but it is not one: {why}"))
    }

    /// Bytes of a response that this source takes, as [`encode`](Self::encode) writes it.
    pub fn largest(self) -> usize {
        match self {
            Self::Alb { .. } => LARGEST_OF_ALB,
            Self::ApiGatewayV2 | Self::ApiGatewayV1 | Self::VpcLattice => LARGEST_OF_LAMBDA,
        }
    }

    /// `response` in the envelope that this event source expects.
    pub fn encode(self, response: HttpResponse) -> Result<Box<RawValue>> {
        let HttpResponse { status, headers, body } = response;
        let (body, is_base64_encoded) = match String::from_utf8(body) {
            Ok(text) => (text, false),
            Err(bytes) => (BASE64.encode(bytes.as_bytes()), true),
        };
        let described = matches!(self, Self::Alb { .. } | Self::VpcLattice);
        let reason = status.canonical_reason().unwrap_or_default();
        let multi_value = matches!(self, Self::ApiGatewayV1 | Self::Alb { multi_value: true });
        let envelope = Envelope {
            status_code: status.as_u16(),
            status_description: described.then(|| format!("{} {reason}", status.as_u16())),
            headers: (!multi_value).then_some(SingleValues(&headers)),
            multi_value_headers: multi_value.then_some(ManyValues(&headers)),
            body,
            is_base64_encoded,
        };
        serde_json::value::to_raw_value(&envelope).map_err(|e| Error::internal("the response cannot be encoded", e))
    }
}

/// Headers of both objects; of one that is in both, the values in `many`.
fn merged(many: HeaderMap, single: HeaderMap) -> HeaderMap {
    let mut headers = many;
    for (name, value) in &single {
        if !headers.contains_key(name) {
            let _ = headers.try_insert(name, value.clone());
        }
    }
    headers
}

/// The body's bytes. A value that is no string is taken as the JSON that it is.
fn body(raw: Option<&RawValue>) -> Vec<u8> {
    let Some(raw) = raw else { return Vec::new() };
    match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => lenient::bytes(text),
        // Holds half of a surrogate pair, so it is no text, which the parser of the body is to say.
        Err(_) if raw.get().starts_with('"') => vec![0xFF],
        Err(_) => lenient::bytes(raw.get().to_owned()),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    status_code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<SingleValues<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    multi_value_headers: Option<ManyValues<'a>>,
    body: String,
    is_base64_encoded: bool,
}

/// Headers as an object of strings.
struct SingleValues<'a>(&'a HeaderMap);

impl Serialize for SingleValues<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))))
    }
}

/// Headers as an object of lists.
struct ManyValues<'a>(&'a HeaderMap);

impl Serialize for ManyValues<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = |name| self.0.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>();
        serializer.collect_map(self.0.keys().map(|name| (name.as_str(), values(name))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use serde_json::{Value, json};

    const SOURCES: [EventSource; 5] = [
        EventSource::ApiGatewayV2,
        EventSource::ApiGatewayV1,
        EventSource::Alb { multi_value: false },
        EventSource::Alb { multi_value: true },
        EventSource::VpcLattice,
    ];

    fn decode(source: EventSource, event: &Value) -> HttpRequest {
        source.decode(&event.to_string()).unwrap_or_else(|e| panic!("{e}: {event}")).1
    }

    proptest::proptest! {
        #[test]
        fn an_answer_of_any_bytes_leaves_through_every_door(body: Vec<u8>, status in 200u16..600) {
            for event_source in SOURCES {
                let status = StatusCode::from_u16(status).unwrap();
                let response = HttpResponse { status, headers: HeaderMap::new(), body: body.clone() };
                let sent: Value = serde_json::from_str(event_source.encode(response).unwrap().get()).unwrap();
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
    fn an_unused_field_of_an_event_may_hold_anything() {
        let odd = [json!(null), json!(5), json!(true), json!("x"), json!([1, {}]), json!({"a": {"b": null}})];
        for value in odd {
            let mut event = json!({
                "httpMethod": "POST", "path": "/embed", "headers": {"accept": "a"}, "body": "b",
                "requestContext": {"elb": {}, "stage": value, "domainName": value, "authorizer": value, "identity": value},
            });
            for field in
                ["cookies", "queryStringParameters", "pathParameters", "version", "isBase64Encoded", "resource"]
            {
                event[field] = value.clone();
            }
            event["multiValueHeaders"] = json!({"x-odd": value, "x-fine": ["1"]});
            for source in [EventSource::ApiGatewayV1, EventSource::Alb { multi_value: false }] {
                let request = decode(source, &event);
                assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/embed"), "{value}");
                assert_eq!(
                    (request.headers["accept"].as_bytes(), request.headers["x-fine"].as_bytes()),
                    (&b"a"[..], &b"1"[..])
                );
                assert_eq!(request.body, b"b", "{value}");
            }
            event["headers"] = value.clone();
            event["multiValueHeaders"] = value.clone();
            event["requestContext"] =
                json!({"http": {"method": "GET", "path": "/info", "protocol": value}, "time": value});
            event["rawPath"] = value.clone();
            let request = decode(EventSource::ApiGatewayV2, &event);
            assert_eq!(request.method, Method::GET);
            assert!(["/info", "x"].contains(&request.path.as_str()), "{value}: {}", request.path);
        }
    }

    #[test]
    fn a_body_is_text_or_base64_or_the_json_that_it_is() {
        let with = |body: Value, flag: Value| {
            decode(EventSource::ApiGatewayV1, &json!({"httpMethod": "POST", "body": body, "isBase64Encoded": flag}))
        };
        assert_eq!(with(json!("a"), json!(false)).body, b"a");
        assert_eq!(with(json!(null), json!(null)).body, b"");
        assert_eq!(with(json!({"inputs": "a"}), json!(null)).body, br#"{"inputs":"a"}"#);
        assert_eq!(with(json!("YQ=="), json!("true")).encoding, BodyEncoding::Base64);
        assert_eq!(with(json!("YQ=="), json!("true")).bytes(9).unwrap(), &b"a"[..]);
        assert_eq!(with(json!("a"), json!("false")).encoding, BodyEncoding::Text);
        let half = r#"{"httpMethod": "POST", "body": "a\ud800"}"#;
        let half = EventSource::ApiGatewayV1.decode(half).unwrap().1;
        assert!(std::str::from_utf8(&half.body).is_err(), "an unreadable body is not an empty one");
    }

    #[test]
    fn both_payloads_of_vpc_lattice_are_read() {
        let second = json!({"version": "2.0", "path": "/embed?a=b", "method": "POST", "body": "b", "isBase64Encoded": false,
            "headers": {"accept": ["a"], "many": ["x", "y"]}, "requestContext": {"serviceArn": "arn:aws:vpc-lattice:r:1:service/s"}});
        let first = json!({"raw_path": "/embed?a=b", "method": "POST", "body": "Yg==", "is_base64_encoded": true,
            "headers": {"accept": "a", "many": "x"}, "query_string_parameters": {}});
        for event in [second, first] {
            let request = decode(EventSource::VpcLattice, &event);
            assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/embed?a=b"));
            assert_eq!(
                (request.headers["accept"].as_bytes(), request.headers["many"].as_bytes()),
                (&b"a"[..], &b"x"[..])
            );
            assert_eq!(request.bytes(10).unwrap(), &b"b"[..]);
        }
    }

    #[test]
    fn an_event_without_a_method_names_its_door() {
        for (source, name) in SOURCES.into_iter().zip(["HTTP API", "REST API", "Balancer", "Balancer", "Lattice"]) {
            for event in [r#"{"requestContext": {"http": 5}}"#, r#"{"httpMethod": "A B", "method": ""}"#] {
                let error = source.decode(event).unwrap_err();
                assert!(matches!(error, Error::UnknownEvent(_)) && error.to_string().contains(name), "{error}");
            }
        }
    }

    #[test]
    fn only_a_function_url_and_a_rest_api_can_stream() {
        let host = |name: Value| json!({"requestContext": {"http": {"method": "GET"}, "domainName": name}, "httpMethod": "GET"});
        let streams = |source, name| decode(source, &host(name)).answer.streamed;
        assert!(streams(EventSource::ApiGatewayV2, json!("abc.lambda-url.eu-north-1.on.aws")));
        assert!(!streams(EventSource::ApiGatewayV2, json!("abc.execute-api.eu-north-1.amazonaws.com")));
        assert!(!streams(EventSource::ApiGatewayV2, json!("vectors.example.com")));
        assert!(streams(EventSource::ApiGatewayV1, json!("vectors.example.com")));
        assert!(!streams(EventSource::Alb { multi_value: false }, json!(null)));
    }
}
