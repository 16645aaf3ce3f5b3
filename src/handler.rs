//! One invocation, from the event's bytes to the reply's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use crate::api::Api;
use crate::call::Call;
use crate::config::Config;
use crate::embed::{Embedder, Runtime, Startup};
use crate::error::{Error, Result};
use crate::event::{self, Invocation};
use crate::model;
use crate::secrets::{self, ApiKey};

/// Answers invocations over one loaded model; cheap to clone.
#[derive(Clone)]
pub struct Handler {
    api: Api,
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
        Ok((Self { api: Api::new(embedder, config, token) }, startup))
    }

    /// The loaded model's id.
    pub fn model(&self) -> &str {
        self.api.model()
    }

    /// Decodes `event` and answers it with the JSON that its source expects.
    ///
    /// # Errors
    /// For a direct invocation and an unknown event, what is wrong with it; an HTTP request's mistakes
    /// are answers, not errors.
    pub async fn handle(&self, event: &[u8], _call: &Call) -> Result<Box<RawValue>> {
        match event::decode(event)? {
            Invocation::Http(request) => request.door.encode(self.api.http(&request).await),
            Invocation::Direct(body) => raw(self.api.direct(&body).await?),
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
