//! A request and a response, from and to any front door.

use std::borrow::Cow;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::error::{Error, Kind, Result};

/// A request, from any front door.
#[derive(Debug)]
pub struct HttpRequest {
    pub method: Method,
    /// As it arrived: it may begin with the stage, hold empty segments and be percent-encoded.
    pub path: String,
    /// The API's stage, which may stand before the path.
    pub stage: Option<String>,
    /// Names are lower-case, as [`HeaderMap`] keeps them.
    pub headers: HeaderMap,
    /// As it arrived; [`HttpRequest::bytes`] undoes base64 and gzip.
    pub body: Vec<u8>,
    pub encoding: BodyEncoding,
    pub answer: AnswerTerms,
}

/// How a body came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyEncoding {
    /// As the text of an event, so it cannot be compressed: a REST API decompresses a body and leaves its
    /// `Content-Encoding` as it was.
    Text,
    /// As base64 in an event.
    Base64,
    /// As it was sent, on a socket.
    Binary,
}

/// What a front door can pass on to the client.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnswerTerms {
    /// Bytes of the response that the front door takes, its envelope included; `None`: any number.
    pub largest: Option<usize>,
    /// Whether an answer that is compressed on request reaches the client as such bytes. A REST API hands its base64
    /// on unless binary media types are set up there; it compresses by itself if configured to.
    pub compressed: bool,
    /// Whether a streamed answer can reach the client.
    pub streamed: bool,
}

/// A response without a front door's envelope.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
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
        let received = match self.encoding {
            BodyEncoding::Text | BodyEncoding::Binary => Cow::Borrowed(self.body.as_slice()),
            BodyEncoding::Base64 => {
                let decoded = BASE64.decode(&self.body);
                Cow::Owned(decoded.map_err(|e| malformed(&format!("valid base64 ({e}), though it says so")))?)
            }
        };
        let is_text = self.encoding == BodyEncoding::Text;
        let encoding = self.headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes);
        let bytes = match encoding.map(|name| name.trim_ascii().to_ascii_lowercase()).as_deref() {
            None | Some(b"" | b"identity") => received,
            Some(b"gzip" | b"x-gzip" | b"deflate") if is_text => received,
            Some(b"gzip" | b"x-gzip") => {
                let mut decompressed = Vec::new();
                // One byte more than allowed tells a body at the limit from one beyond it.
                let mut reader = flate2::read::MultiGzDecoder::new(&*received).take(limit as u64 + 1);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A request with a body in base64.
    fn request(body: String, encoding: Option<&'static str>) -> HttpRequest {
        let encoding = encoding.map(|name| (header::CONTENT_ENCODING, HeaderValue::from_static(name)));
        HttpRequest {
            method: Method::POST,
            path: "/".to_owned(),
            stage: None,
            headers: HeaderMap::from_iter(encoding),
            body: body.into_bytes(),
            encoding: BodyEncoding::Base64,
            answer: AnswerTerms::default(),
        }
    }

    proptest::proptest! {
        #[test]
        fn a_body_arrives_as_it_was_however_it_was_encoded(bytes: Vec<u8>, level in 0u32..10) {
            use std::io::Write;
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
            encoder.write_all(&bytes).unwrap();
            let compressed = BASE64.encode(encoder.finish().unwrap());
            let limit = bytes.len();
            assert_eq!(request(BASE64.encode(&bytes), None).bytes(limit).unwrap(), bytes);
            assert_eq!(request(compressed.clone(), Some("gzip")).bytes(limit).unwrap(), bytes);
            if limit > 0 {
                let error = request(compressed, Some("gzip")).bytes(limit - 1).unwrap_err();
                assert_eq!(error.kind(), Kind::TooLarge);
            }
        }
    }

    #[test]
    fn text_is_not_decompressed_whatever_its_header_says() {
        for encoding in ["gzip", "GZIP", "x-gzip", "deflate", " gzip "] {
            let plain = HttpRequest { encoding: BodyEncoding::Text, ..request("{}".to_owned(), Some(encoding)) };
            assert_eq!(plain.bytes(10).unwrap(), &b"{}"[..], "{encoding}");
            let on_a_socket = HttpRequest { encoding: BodyEncoding::Binary, ..plain };
            assert!(on_a_socket.bytes(10).is_err(), "{encoding}");
        }
        let other = HttpRequest { encoding: BodyEncoding::Text, ..request("{}".to_owned(), Some("br")) };
        assert_eq!(other.bytes(10).unwrap_err().kind(), Kind::UnsupportedMedia);
    }
}
