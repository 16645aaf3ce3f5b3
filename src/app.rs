//! Builds a ready [`Handler`] from a configuration; the only module that knows every part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::aws::secrets::PendingApiKey;
use crate::aws::{self, Attempts, S3};
use crate::concurrency::admission::Admission;
use crate::config::{Config, Documents, Secret, StoreName};
use crate::documents::{DocumentPipeline, PdfReader};
use crate::embedding::{Embedder, Runtime, Startup};
use crate::error::{Error, Result};
use crate::handler::Handler;
use crate::http_api::Api;
use crate::model;
use crate::observability::Observer;
use crate::record::{ModelRef, OutputLayout, VectorStore};
use crate::stores::qdrant::QdrantStore;
use crate::stores::s3::S3Store;
use crate::stores::s3vectors::{self, S3VectorsStore};

/// Loads the model and connects the clients that `config` names.
///
/// # Errors
/// The first part that is missing or wrong, with the remedy.
pub fn open(config: Arc<Config>) -> Result<(Handler, Startup)> {
    let observer = Arc::new(Observer::new(config.metrics.clone()));
    open_observed(config, observer)
}

/// [`open`] with an `observer` that already watches calls while the model loads.
///
/// # Errors
/// Those of [`open`].
pub fn open_observed(config: Arc<Config>, observer: Arc<Observer>) -> Result<(Handler, Startup)> {
    let started = Instant::now();
    // References to tokens are resolved while the model loads.
    let token = PendingApiKey::start("EMBED_API_KEY", config.api_key.as_ref());
    let qdrant = config.documents.as_ref().and_then(|documents| documents.qdrant.as_ref());
    let qdrant_key = PendingApiKey::start("EMBED_QDRANT_API_KEY", qdrant.and_then(|qdrant| qdrant.api_key.as_ref()));
    let folder = beside_the_library(&config, || model::open(&config, config.verify))?;
    let fetch = if config.model_s3.is_some() { started.elapsed() } else { Duration::ZERO };
    let (opened, connected) = std::thread::scope(|scope| {
        let connecting = config.documents.as_ref().map(|documents| scope.spawn(|| connect_beside(&config, documents)));
        let opened = Embedder::open(&config, &folder);
        (opened, connecting.map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
    });
    let (embedder, startup) = opened?;
    let pipeline = match (&config.documents, connected) {
        (Some(settings), Some(clients)) => Some(documents(&config, settings, &embedder, clients?, qdrant_key.wait()?)?),
        _ => None,
    };
    let token = token.wait()?;
    let startup = Startup { fetch, total: started.elapsed(), ..startup };
    let admission = Admission::new(config.limits.calls, config.limits.body_bytes);
    observer.started(startup.values());
    let api = Api::new(embedder, config, token);
    Ok((Handler::new(api, pipeline, admission, observer), startup))
}

/// A client for S3 with its region, and one for S3 Vectors if it is a store.
pub type Clients = (S3, Option<s3vectors::Client>);

/// Makes the clients for documents; nothing is sent yet.
pub async fn connect(config: &Config, documents: &Documents) -> Clients {
    let s3 = aws::connect(&config.aws, Attempts::Standard).await;
    match documents.s3vectors {
        None => (s3, None),
        Some(_) => (s3, Some(s3vectors::connect(&config.aws).await)),
    }
}

/// [`connect`] from a thread of its own, because finding credentials may take long outside Lambda.
fn connect_beside(config: &Config, documents: &Documents) -> Result<Clients> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::internal("the runtime of the S3 client does not start", e))?;
    Ok(runtime.block_on(connect(config, documents)))
}

/// The stores that `EMBED_SINK` lists.
pub fn stores(
    settings: &Documents,
    model: &ModelRef,
    (s3, s3vectors): &Clients,
    qdrant_key: Option<&Secret>,
) -> Vec<Box<dyn VectorStore>> {
    let options = &settings.encode;
    let layout = OutputLayout::new(&settings.output, options.format);
    let output = s3.bucket(&settings.output.bucket);
    let store = |name: &StoreName| -> Option<Box<dyn VectorStore>> {
        Some(match name {
            StoreName::S3 => Box::new(S3Store::new(output.clone(), layout.clone(), model.clone(), options.clone())),
            StoreName::Qdrant => {
                let (place, key) = (settings.qdrant.as_ref()?, qdrant_key.cloned());
                Box::new(QdrantStore::new(place, key, model.clone(), options.text))
            }
            StoreName::S3Vectors => {
                let (place, client) = (settings.s3vectors.as_ref()?, s3vectors.clone()?);
                Box::new(S3VectorsStore::new(client, place, model.clone(), options.text))
            }
        })
    };
    settings.stores.iter().filter_map(store).collect()
}

/// The document pipeline with its stores.
fn documents(
    config: &Config,
    settings: &Documents,
    embedder: &Embedder,
    clients: Clients,
    qdrant_key: Option<Secret>,
) -> Result<DocumentPipeline> {
    let stores = stores(settings, &ModelRef::of(embedder.manifest()), &clients, qdrant_key.as_ref());
    DocumentPipeline::new(settings, pdf_reader(config), embedder, clients.0, stores)
}

/// What reads PDFs.
pub fn pdf_reader(config: &Config) -> Option<PdfReader> {
    let program = config.program.clone()?;
    Some(PdfReader { program, library: config.pdfium_lib.clone() })
}

/// Runs `fetch` while ONNX Runtime loads, if the model comes from S3. A failure to load is reported where the library is
/// used. The load is joined, because a process that exits while a library loads may crash.
fn beside_the_library<T>(config: &Config, fetch: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        if config.model_s3.is_some() {
            scope.spawn(|| Runtime::load(&config.ort_lib).map(drop));
        }
        fetch()
    })
}
