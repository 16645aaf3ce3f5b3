//! One error type, and one table of what each kind of error means to its receiver.
//!
//! A message says what to do next. Details that a caller must not see (paths, causes) are in the `#[source]` chain, which
//! is logged and never sent.

mod store_error;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

pub use store_error::{StoreError, StoreErrorKind};

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Every error, grouped by who can fix it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong; `message` names the mistake and its remedy.
    #[error("{message}")]
    Request {
        kind: Kind,
        /// The field at fault, as the caller wrote it (`input`, `encoding_format`, …).
        param: Option<Cow<'static, str>>,
        message: String,
    },
    /// The path does not have this method; `allow` is the `Allow` header's value.
    #[error("{path} answers {allow} only")]
    MethodNotAllowed { path: String, allow: &'static str },
    /// A Lambda event of no known shape.
    #[error("{0}")]
    UnknownEvent(String),
    /// An environment variable has an invalid value.
    #[error("{variable}={value:?} is not understood: {expected}")]
    Config { variable: String, value: String, expected: String },
    /// ONNX Runtime's library is absent, unreadable or of another version.
    #[error("{message}")]
    Library { message: String },
    /// A model folder that cannot be used; `message` says why and how to get a good one.
    #[error("model folder {}: {message}", folder.display())]
    Model {
        folder: PathBuf,
        message: String,
        #[source]
        source: Option<Cause>,
    },
    /// A model in S3 that cannot be used.
    #[error("s3://{bucket}/{key}: {message}")]
    S3 {
        bucket: String,
        key: String,
        message: String,
        #[source]
        source: Option<Cause>,
    },
    /// The token behind a reference cannot be read.
    #[error("{variable} refers to {reference}: {message}")]
    Secret {
        variable: &'static str,
        reference: String,
        message: String,
        #[source]
        source: Option<Cause>,
    },
    /// Some documents need a retry, and their event can be retried only as a whole.
    #[error("{message}")]
    Documents { message: String },
    /// The request is valid and may succeed later.
    #[error("{message}")]
    Later { kind: Kind, message: String },
    /// A fault of ours: in the engine, the tokenizer, a thread.
    #[error("{context}")]
    Internal {
        context: &'static str,
        #[source]
        source: Option<Cause>,
    },
}

/// What an error means to its receiver; each has one row in [`Kind::row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Not JSON, not UTF-8, not base64.
    Malformed,
    /// Nothing to embed.
    Empty,
    /// A field with a wrong type or value.
    Invalid,
    /// A text, a body, a list or a response above its limit.
    TooLarge,
    Unauthorized,
    NotFound,
    MethodNotAllowed,
    UnsupportedMedia,
    /// An event of a kind that the function does not answer.
    UnknownEvent,
    /// Documents need a retry.
    Documents,
    /// Too many calls under way.
    Overloaded,
    /// The call's remaining time is too short.
    Deadline,
    /// The caller disconnected, or sent its request too slowly.
    Abandoned,
    /// The process is ending.
    Stopping,
    /// The configuration, the library or the model is wrong.
    Setup,
    Internal,
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct ErrorRow {
    /// HTTP status under OpenAI's contract.
    pub status: u16,
    /// HTTP status under text-embeddings-inference's contract.
    pub tei_status: u16,
    /// OpenAI's `error.type`.
    pub openai_type: &'static str,
    /// OpenAI's `error.code`; `None` is JSON `null`.
    pub openai_code: Option<&'static str>,
    /// text-embeddings-inference's `error_type`.
    pub tei_type: &'static str,
    /// Lambda's `errorType`, for an invocation that failed as a whole.
    pub lambda_type: &'static str,
    /// Whether the same request may succeed later.
    pub retryable: bool,
}

impl ErrorRow {
    /// HTTP status under Qdrant's contract. Of a 400 its server shows the user the message, of any other status the whole
    /// body, so mistakes are 400.
    pub fn qdrant_status(self) -> u16 {
        match self.status {
            404 | 413 => 400,
            other => other,
        }
    }
}

impl Kind {
    /// This kind under each contract. A caller's mistake is never a 5xx, because OpenAI's clients retry every 5xx; a fault
    /// of ours is never a 4xx, although text-embeddings-inference answers 424 for a fault of its back end.
    pub fn row(self) -> ErrorRow {
        const BAD: &str = "invalid_request_error";
        let row = |status, tei_status, openai_type, openai_code, tei_type, lambda_type, retryable| ErrorRow {
            status,
            tei_status,
            openai_type,
            openai_code,
            tei_type,
            lambda_type,
            retryable,
        };
        #[rustfmt::skip]
        let row = match self {
            //                            OpenAI TEI  OpenAI type             OpenAI code                     TEI type      Lambda type                 retry
            Kind::Malformed        => row(400, 400, BAD,                    Some("invalid_body"),           "Validation", "Request.Malformed",        false),
            Kind::Empty            => row(400, 400, BAD,                    Some("empty_input"),            "Empty",      "Request.Empty",            false),
            Kind::Invalid          => row(400, 422, BAD,                    Some("invalid_value"),          "Validation", "Request.Invalid",          false),
            Kind::TooLarge         => row(413, 413, BAD,                    Some("too_large"),              "Validation", "Request.TooLarge",         false),
            Kind::Unauthorized     => row(401, 401, "authentication_error", Some("invalid_api_key"),        "Validation", "Request.Unauthorized",     false),
            Kind::NotFound         => row(404, 404, BAD,                    Some("not_found"),              "Validation", "Request.NotFound",         false),
            Kind::MethodNotAllowed => row(405, 405, BAD,                    Some("method_not_allowed"),     "Validation", "Request.MethodNotAllowed", false),
            Kind::UnsupportedMedia => row(415, 415, BAD,                    Some("unsupported_media_type"), "Validation", "Request.UnsupportedMedia", false),
            Kind::UnknownEvent     => row(400, 400, BAD,                    Some("unknown_event"),          "Validation", "Event.Unknown",            false),
            Kind::Documents        => row(503, 503, "server_error",         None,                           "Overloaded", "Documents.Retry",          true),
            Kind::Overloaded       => row(429, 429, "rate_limit_error",     Some("rate_limit_exceeded"),    "Overloaded", "Call.Overloaded",          true),
            Kind::Deadline         => row(503, 503, "server_error",         Some("deadline"),               "Overloaded", "Call.Deadline",            true),
            Kind::Abandoned        => row(408, 408, BAD,                    Some("abandoned"),              "Validation", "Call.Abandoned",           true),
            Kind::Stopping         => row(503, 503, "server_error",         Some("stopping"),               "Unhealthy",  "Call.Stopping",            true),
            Kind::Setup            => row(500, 500, "server_error",         None,                           "Unhealthy",  "Init.Setup",               false),
            Kind::Internal         => row(500, 500, "server_error",         None,                           "Backend",    "Runtime.Internal",         true),
        };
        row
    }

    /// Whether the fault is ours: its causes are logged and not sent.
    pub fn is_fault(self) -> bool {
        matches!(self, Self::Setup | Self::Internal)
    }
}

impl Error {
    /// A caller's mistake of the given kind, at the given field.
    pub fn request(kind: Kind, param: impl Into<Option<&'static str>>, message: impl Into<String>) -> Self {
        Self::Request { kind, param: param.into().map(Cow::Borrowed), message: message.into() }
    }

    /// A fault of ours, with what caused it.
    pub fn internal(context: &'static str, source: impl Into<Cause>) -> Self {
        Self::Internal { context, source: Some(source.into()) }
    }

    /// The error's kind, which is its row in the table.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request { kind, .. } | Self::Later { kind, .. } => *kind,
            Self::MethodNotAllowed { .. } => Kind::MethodNotAllowed,
            Self::UnknownEvent(_) => Kind::UnknownEvent,
            Self::Config { .. } | Self::Library { .. } | Self::Model { .. } | Self::S3 { .. } | Self::Secret { .. } => {
                Kind::Setup
            }
            Self::Documents { .. } => Kind::Documents,
            Self::Internal { .. } => Kind::Internal,
        }
    }

    /// The request's field at fault, if it is known.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Request { param, .. } => param.as_deref(),
            _ => None,
        }
    }

    /// The message for a caller: what the mistake is; of a fault of ours only that it happened. At most 2,000 characters,
    /// because a message may quote a value of the request, which may be larger than a response may be.
    pub fn public_message(&self) -> String {
        const LONGEST: usize = 2_000;
        if self.kind().is_fault() {
            return "The server failed to answer this request; its log has the cause.".to_owned();
        }
        let mut message = self.to_string();
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(end);
            message.push('…');
        }
        message
    }

    /// The message and all its causes on one line, for logs.
    pub fn chain(&self) -> impl fmt::Display + '_ {
        Chain(self)
    }
}

struct Chain<'a>(&'a dyn std::error::Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line = |text: String| text.replace('\n', " ");
        write!(f, "{}", one_line(self.0.to_string()))?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {}", one_line(error.to_string()))?;
            cause = error.source();
        }
        Ok(())
    }
}

impl From<Error> for lambda_runtime::Diagnostic {
    fn from(error: Error) -> Self {
        Self { error_type: error.kind().row().lambda_type.to_owned(), error_message: error.public_message() }
    }
}
