//! What an answer has to meet: its call's deadline, and the bytes that its front door takes.

use crate::config::Limits;
use crate::event::{EventSource, HttpRequest};
use crate::observability::call::Call;

/// Bytes kept for the envelope around a body: its fields and the headers.
const ENVELOPE_BYTES: usize = 2 * 1024;

/// Bytes of an answer's body unless `EMBED_MAX_RESPONSE_BYTES` says otherwise; none on a socket.
const DEFAULT_BYTES: usize = 6_000_000;

/// What an answer has to meet.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    pub call: &'a Call,
    pub room: Room,
    /// Whether the answer is sent piece by piece.
    pub streamed: bool,
}

/// How many bytes an answer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Of the body itself.
    body: usize,
    /// Of the body as a string of JSON, which an envelope has. Quotation marks take two bytes there.
    escaped: usize,
}

impl Room {
    /// The room of an answer to `request`, which may be streamed.
    pub fn of(request: &HttpRequest, streamed: bool, limits: &Limits) -> Self {
        if streamed {
            return Self { body: limits.stream_bytes, escaped: usize::MAX };
        }
        match request.answer.largest {
            None => Self { body: limits.response_bytes.unwrap_or(usize::MAX), escaped: usize::MAX },
            Some(largest) => Self {
                body: limits.response_bytes.unwrap_or(DEFAULT_BYTES),
                escaped: largest.saturating_sub(ENVELOPE_BYTES),
            },
        }
    }

    /// The room of a direct invocation's answer, which has no envelope, beside `used` bytes of others.
    pub fn direct(limits: &Limits, used: usize) -> Self {
        let largest = EventSource::ApiGatewayV2.largest() - ENVELOPE_BYTES;
        let body = limits.response_bytes.unwrap_or(DEFAULT_BYTES).min(largest);
        Self { body: body.saturating_sub(used), escaped: usize::MAX }
    }

    /// The most bytes that a body without anything to escape may have.
    pub fn bytes(self) -> usize {
        self.body.min(self.escaped)
    }

    /// Whether `body`, which is JSON, fits.
    pub fn takes(self, body: &[u8]) -> bool {
        let marks = || body.iter().filter(|byte| matches!(byte, b'"' | b'\\')).count();
        body.len() <= self.body && (self.escaped == usize::MAX || body.len() + marks() <= self.escaped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_counted_as_it_is_and_as_its_envelope_has_it() {
        let body = br#"[{"text":"a\"b"}]"#;
        let escaped = serde_json::to_string(std::str::from_utf8(body).unwrap()).unwrap().len() - 2;
        let room = |body, escaped| Room { body, escaped };
        assert!(room(body.len(), escaped).takes(body));
        assert!(!room(body.len() - 1, escaped).takes(body));
        assert!(!room(body.len(), escaped - 1).takes(body));
        assert!(room(body.len(), usize::MAX).takes(body));
        assert_eq!(room(10, 5).bytes(), 5);
    }
}
