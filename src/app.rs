//! Composition: a configuration in, a ready [`Handler`] out. The only place that knows every part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::aws::secrets::Token;
use crate::aws::{self, Attempts, S3};
use crate::concurrency::admission::Admission;
use crate::config::{Config, Documents, Secret, SinkName};
use crate::documents::Ingest;
use crate::embedding::{Embedder, Runtime, Startup};
use crate::error::{Error, Result};
use crate::handler::Handler;
use crate::http_api::Api;
use crate::model;
use crate::observability::Observer;
use crate::record::{EncodeOptions, Layout, ModelRef, OutputFormat, Sink, VectorEncoding};
use crate::stores::qdrant::QdrantSink;
use crate::stores::s3::S3Sink;
use crate::stores::s3vectors::{self, S3VectorsSink};

/// Loads what `config` names; nothing is loaded again afterwards.
///
/// # Errors
/// The first thing that is missing or wrong, with what mends it.
pub fn open(config: Arc<Config>) -> Result<(Handler, Startup)> {
    let observer = Arc::new(Observer::new(config.metrics.clone()));
    open_observed(config, observer)
}

/// [`open`] for calls that `observer` watches, those before the model is there included.
///
/// # Errors
/// Those of [`open`].
pub fn open_observed(config: Arc<Config>, observer: Arc<Observer>) -> Result<(Handler, Startup)> {
    let started = Instant::now();
    // Tokens by reference are on their way while the model loads.
    let token = Token::begin("EMBED_API_KEY", config.api_key.as_ref());
    let qdrant = config.documents.as_ref().and_then(|documents| documents.qdrant.as_ref());
    let qdrant_key = Token::begin("EMBED_QDRANT_API_KEY", qdrant.and_then(|qdrant| qdrant.api_key.as_ref()));
    let folder = beside_the_library(&config, || model::open(&config, config.verify))?;
    let fetch = if config.model_s3.is_some() { started.elapsed() } else { Duration::ZERO };
    let (opened, connected) = std::thread::scope(|scope| {
        let connecting = config.documents.as_ref().map(|documents| scope.spawn(|| connect(&config, documents)));
        let opened = Embedder::open(&config, &folder);
        (opened, connecting.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    });
    let (embedder, startup) = opened?;
    let ingest = match (&config.documents, connected) {
        (Some(settings), Some(clients)) => Some(documents(settings, &embedder, clients?, qdrant_key.wait()?)?),
        _ => None,
    };
    let token = token.wait()?;
    let startup = Startup { fetch, total: started.elapsed(), ..startup };
    let admission = Admission::new(config.limits.calls, config.limits.body_bytes);
    observer.started(startup.values());
    let api = Api::new(embedder, config, token);
    Ok((Handler::new(api, ingest, admission, observer), startup))
}

/// A client for S3 with its region, and one for S3 Vectors where vectors go there.
type Clients = (S3, Option<s3vectors::Client>);

/// Makes the clients; on a thread of its own, because looking for credentials may take a while by hand.
fn connect(config: &Config, documents: &Documents) -> Result<Clients> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::internal("the runtime of the S3 client does not start", e))?;
    runtime.block_on(async {
        let s3 = aws::connect(&config.aws, Attempts::Standard).await;
        Ok(match documents.s3vectors {
            None => (s3, None),
            Some(_) => (s3, Some(s3vectors::connect(&config.aws).await)),
        })
    })
}

/// What takes documents in, with the sinks that `EMBED_SINK` lists.
fn documents(
    settings: &Documents,
    embedder: &Embedder,
    (s3, s3vectors): Clients,
    qdrant_key: Option<Secret>,
) -> Result<Ingest> {
    let options = EncodeOptions {
        format: match settings.format {
            crate::config::FileFormat::JsonLines => OutputFormat::JsonLines,
            crate::config::FileFormat::Parquet => OutputFormat::Parquet,
        },
        vector: if settings.base64 { VectorEncoding::Base64 } else { VectorEncoding::Numbers },
        text: settings.text,
        document_vector: settings.document_vector,
        chunks: None,
    };
    let model = ModelRef::of(embedder.manifest());
    let layout = Layout::new(&settings.output, settings.format);
    let output = s3.bucket(&settings.output.bucket);
    let sink = |name: &SinkName| -> Option<Box<dyn Sink>> {
        Some(match name {
            SinkName::S3 => Box::new(S3Sink::new(output.clone(), layout.clone(), model.clone(), options.clone())),
            SinkName::Qdrant => {
                let (place, key) = (settings.qdrant.as_ref()?, qdrant_key.clone());
                Box::new(QdrantSink::new(place, key, model.clone(), options.text))
            }
            SinkName::S3Vectors => {
                let (place, client) = (settings.s3vectors.as_ref()?, s3vectors.clone()?);
                Box::new(S3VectorsSink::new(client, place, model.clone(), options.text))
            }
        })
    };
    let sinks = settings.sinks.iter().filter_map(sink).collect();
    Ingest::new(settings, embedder, s3, sinks, &options)
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
