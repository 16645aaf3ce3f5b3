//! Answers to HTTP requests, in the envelope of the front door that they came through, or streamed.

use serde_json::value::RawValue;

use super::Handler;
use crate::concurrency::admission::Permit;
use crate::concurrency::offload;
use crate::error::{Error, Kind, Result};
use crate::event::{EventSource, HttpRequest, HttpResponse, ResponseStream};
use crate::http_api::Reply;
use crate::observability::call::Call;

impl Handler {
    /// The answer to a request that is rejected before its body is read; logs and counts the call.
    pub async fn reject(&self, request: &HttpRequest, error: Error, call: &Call) -> HttpResponse {
        call.meter.note(|m| m.source = "http");
        let response = self.failed(request, &error, call);
        let _ = self.observer.watch(call, async { Err::<(), _>(error) }).await;
        response
    }

    /// `error` as the answer to a request.
    pub fn error_response(&self, request: &HttpRequest, error: &Error) -> HttpResponse {
        self.api.error_response(request, error)
    }

    /// [`error_response`](Self::error_response), noted as the end of `call`.
    pub(super) fn failed(&self, request: &HttpRequest, error: &Error, call: &Call) -> HttpResponse {
        let response = self.error_response(request, error);
        call.meter.fail(error);
        call.meter.note(|m| m.status = Some(response.status.as_u16()));
        response
    }

    /// Answers an HTTP request that did not come in an event, for a call that is watched already.
    pub async fn http(&self, request: &HttpRequest, call: &Call) -> HttpResponse {
        self.api.http(request, call).await
    }

    /// Answers an HTTP request piece by piece. `permit` is as in [`answer`](Self::answer).
    ///
    /// # Errors
    /// Those of an answer that has begun, which ends where it is.
    pub async fn stream(
        &self,
        permit: Result<Permit>,
        request: &HttpRequest,
        stream: ResponseStream,
        call: &Call,
    ) -> Result<()> {
        if let Err(error) = &permit
            && !self.api.is_health_check(request)
        {
            return stream.send(self.failed(request, error, call)).await;
        }
        let mut vectors = match self.api.respond(request, true, call).await {
            Reply::Whole(response) => return stream.send(response).await,
            Reply::Stream(vectors) => vectors,
        };
        // The first piece is computed before the status is sent, so that its failure has one of its own.
        let mut next = match vectors.next(&self.api, call).await {
            Ok(first) => first,
            Err(error) => return stream.send(self.failed(request, &error, call)).await,
        };
        let pieces = stream.begin(vectors.head.status, std::mem::take(&mut vectors.head.headers))?;
        call.meter.note(|m| m.stream_open = true);
        while let Some(piece) = next {
            pieces.write(piece).await?;
            next = vectors.next(&self.api, call).await?;
        }
        call.meter.note(|m| m.stream_open = false);
        Ok(())
    }

    /// `response` in its source's envelope, or the error that it is larger than the source takes: the size of headers
    /// is not known before the work.
    pub(super) async fn envelope(
        &self,
        source: EventSource,
        request: &HttpRequest,
        response: HttpResponse,
        call: &Call,
    ) -> Result<Box<RawValue>> {
        let large = response.body.len() >= offload::FROM_BYTES;
        let encode = move |_: &_| source.encode(response);
        let encoded = offload::spawn_blocking_if(large, "encoding a response panicked", encode).await?;
        if encoded.get().len() <= source.largest() {
            return Ok(encoded);
        }
        let message = format!("the answer has more than the {} bytes that its way back takes", source.largest());
        source.encode(self.failed(request, &Error::request(Kind::TooLarge, None, message), call))
    }
}
