//! One invocation, from the event's bytes to the reply's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::admission::{Admission, Permit};
use crate::api::Api;
use crate::call::Call;
use crate::config::Config;
use crate::embed::{Embedder, Runtime, Startup};
use crate::error::{Error, Result};
use crate::event::{self, HttpReply, Invocation};
use crate::metrics::Observer;
use crate::model;
use crate::secrets::{self, ApiKey};

/// Answers invocations over one loaded model; cheap to clone.
#[derive(Clone)]
pub struct Handler {
    api: Api,
    admission: Admission,
    observer: Arc<Observer>,
}

impl Handler {
    /// Loads what `config` names; nothing is loaded again afterwards.
    pub fn open(config: Arc<Config>) -> Result<(Self, Startup)> {
        let started = Instant::now();
        // A token by reference is on its way while the model loads.
        let (token, fetching) = match config.api_key.clone() {
            None => (None, None),
            Some(ApiKey::Plain(token)) => (Some(token), None),
            Some(ApiKey::Reference(reference)) => (None, Some(secrets::fetch(reference))),
        };
        let folder = beside_the_library(&config, || model::open(&config, config.verify))?;
        let fetch = if config.model_s3.is_some() { started.elapsed() } else { Duration::ZERO };
        let (embedder, startup) = Embedder::open(&config, &folder)?;
        let token = match fetching {
            None => token,
            Some(fetching) => {
                let fetching = fetching.map_err(|e| Error::internal("a thread does not start", e))?;
                Some(fetching.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)
            }
        };
        let startup = Startup { fetch, total: started.elapsed(), ..startup };
        let admission = Admission::new(config.limits.calls, config.limits.body_bytes);
        let observer = Arc::new(Observer::new(config.metrics.clone(), startup.values()));
        Ok((Self { api: Api::new(embedder, config, token), admission, observer }, startup))
    }

    /// The loaded model's id.
    pub fn model(&self) -> &str {
        self.api.model()
    }

    /// Takes a call with a body of about `bytes` bytes in.
    ///
    /// # Errors
    /// [`Kind::Overloaded`](crate::error::Kind::Overloaded) when too many are under way.
    pub fn enter(&self, bytes: usize) -> Result<Permit> {
        self.admission.enter(bytes)
    }

    /// Whether a request at `path` is answered without being taken in.
    pub fn is_probe(&self, path: &str) -> bool {
        self.api.is_probe(path)
    }

    /// The answer to a request at `path` that is turned away before it was read.
    pub async fn turn_away(&self, path: &str, error: Error, call: &Call) -> HttpReply {
        call.meter.note(|m| m.source = "http");
        let reply = self.api.refusal(path, &error);
        call.meter.note(|m| m.status = Some(reply.status.as_u16()));
        let _ = self.observer.watch(call, async { Err::<(), _>(error) }).await;
        reply
    }

    /// What this process has counted, as Prometheus text.
    pub fn prometheus(&self) -> String {
        self.observer.prometheus(self.admission.calls())
    }

    /// Takes a call in, decodes `event` and answers it with the JSON that its source expects.
    ///
    /// # Errors
    /// For a direct invocation and an unknown event, what is wrong with it; an HTTP request's mistakes
    /// are answers, not errors.
    pub async fn handle(&self, event: &[u8], call: &Call) -> Result<Box<RawValue>> {
        let permit = self.enter(event.len()).map(Some);
        self.observer.watch(call, self.answer(permit, event, call)).await
    }

    /// [`handle`](Self::handle) for a call that was taken in before, or that needs no room.
    pub async fn handle_entered(&self, permit: Option<Permit>, event: &[u8], call: &Call) -> Result<Box<RawValue>> {
        self.observer.watch(call, self.answer(Ok(permit), event, call)).await
    }

    async fn answer(&self, permit: Result<Option<Permit>>, event: &[u8], call: &Call) -> Result<Box<RawValue>> {
        let invocation = event::decode(event)?;
        call.meter.note(|m| m.source = invocation.source());
        match (invocation, permit) {
            (Invocation::Http(request), Err(error)) if !self.api.is_probe(&request.path) => {
                call.meter.fail(&error);
                request.door.encode(self.api.refusal(&request.path, &error))
            }
            (Invocation::Http(request), _permit) => request.door.encode(self.api.http(&request, call).await),
            (_, Err(error)) => Err(error),
            (Invocation::Direct(body), Ok(_permit)) => raw(self.api.direct(&body, call).await?),
        }
    }
}

/// Runs `fetch` while ONNX Runtime loads, if the model comes from S3; whether it could load is told where it
/// is needed. It is waited for, because a process that ends while a library loads may crash on its way out.
fn beside_the_library<T>(config: &Config, fetch: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        if config.model_s3.is_some() {
            scope.spawn(|| Runtime::load(&config.ort_lib).map(drop));
        }
        fetch()
    })
}

fn raw(json: Vec<u8>) -> Result<Box<RawValue>> {
    let text = String::from_utf8(json).map_err(|e| Error::internal("the reply is not UTF-8", e))?;
    RawValue::from_string(text).map_err(|e| Error::internal("the reply is not JSON", e))
}
