//! A response that is sent piece by piece.
//!
//! ```text
//! ResponseStream --begin--> Pieces --write, write--> StreamedResponse, whose receiver sends them on
//! ```
//!
//! Invariants: at most one piece waits, so memory stays flat however slowly the client reads. A stream that is dropped
//! before its last piece ends where it is.

use http::{HeaderMap, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::http::HttpResponse;
use crate::error::{Error, Kind, Result};

/// The sending end of a response that has not begun.
#[derive(Debug)]
pub struct ResponseStream(oneshot::Sender<StreamedResponse>);

/// A response that has begun.
#[derive(Debug)]
pub struct StreamedResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub pieces: mpsc::Receiver<Vec<u8>>,
}

/// The sending end of a response that has begun.
#[derive(Debug)]
pub struct Pieces(mpsc::Sender<Vec<u8>>);

impl ResponseStream {
    /// A stream, and where its response appears once it begins.
    pub fn new() -> (Self, oneshot::Receiver<StreamedResponse>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }

    /// Sends status and headers.
    ///
    /// # Errors
    /// [`Kind::Abandoned`] if nobody waits for the response.
    pub fn begin(self, status: StatusCode, headers: HeaderMap) -> Result<Pieces> {
        let (sender, pieces) = mpsc::channel(1);
        self.0.send(StreamedResponse { status, headers, pieces }).map_err(|_| abandoned())?;
        Ok(Pieces(sender))
    }

    /// Sends a response that is whole.
    ///
    /// # Errors
    /// [`Kind::Abandoned`] if nobody waits for the response.
    pub async fn send(self, response: HttpResponse) -> Result<()> {
        let pieces = self.begin(response.status, response.headers)?;
        if response.body.is_empty() { Ok(()) } else { pieces.write(response.body).await }
    }
}

impl Pieces {
    /// Sends a piece of the body, when the one before it is on its way.
    ///
    /// # Errors
    /// [`Kind::Abandoned`] if nobody waits for the response any more.
    pub async fn write(&self, piece: Vec<u8>) -> Result<()> {
        self.0.send(piece).await.map_err(|_| abandoned())
    }
}

fn abandoned() -> Error {
    Error::request(Kind::Abandoned, None, "whoever asked does not wait for the answer any more")
}
