//! `bootstrap doctor`: checks each part that a start needs; each failure has its remedy.

use std::process::ExitCode;

use crate::app;
use crate::aws::secrets::PendingApiKey;
use crate::config::{Config, Documents, S3Location, Secret, StoreName, Verify};
use crate::embedding::{Embedder, ORT_VERSION, Options, Runtime};
use crate::error::{Error, Result, StoreError};
use crate::model::{self, ModelFolder};
use crate::record::ModelRef;

/// Prints one line a check; fails when one failed.
pub async fn run() -> ExitCode {
    let mut report = Report::default();
    report.note("cpu", cpu());
    let config = report.check("configuration", Config::from_env(), |config| {
        let model = match &config.model_s3 {
            None => config.model_dir.display().to_string(),
            Some(location) => format!("s3://{}/{}", location.bucket, location.prefix),
        };
        format!("{} threads, model in {model}", config.threads)
    });
    let Some(config) = config else { return report.verdict() };
    let read = |token: &Option<Secret>| if token.is_some() { "it can be read" } else { "it is not set" };
    let token = PendingApiKey::start("EMBED_API_KEY", config.api_key.as_ref()).wait();
    report.check("EMBED_API_KEY", token, |token| read(token).to_owned());
    if config.documents.is_some() {
        report.note("pdf", pdf(&config));
    }
    let library = report.check("library", Runtime::load(&config.ort_lib), |_| {
        format!("ONNX Runtime {ORT_VERSION} or later at {}", config.ort_lib.display())
    });
    // Hashes every file, whatever EMBED_VERIFY says.
    let folder = report.check("manifest", model::open(&config, Verify::Always), |folder| {
        let manifest = &folder.manifest;
        let note = manifest.note.as_deref().map(|note| format!("; {note}")).unwrap_or_default();
        format!(
            "{} ({}), {} dimensions, {} tokens, {}{note}",
            manifest.id, manifest.name, manifest.dimensions, manifest.max_tokens, manifest.license
        )
    });
    let Some(folder) = folder else { return report.verdict() };
    if let Some(documents) = &config.documents {
        check_documents(&mut report, &config, documents, &ModelRef::of(&folder.manifest)).await;
    }
    for entry in folder.manifest.files.all() {
        let read = std::fs::read(folder.path().join(&entry.path))
            .map_err(|e| folder.unusable(format!("{} cannot be read: {e}; `make model` builds it", entry.path)))
            .and_then(|bytes| folder.check(entry, &bytes));
        report.check("file", read, |()| format!("{}, {} bytes, sha256 as in the manifest", entry.path, entry.size));
    }
    if library.is_some() && !report.failed {
        let embedded = embed(&config, &folder).await;
        report.check("embedding", embedded, String::clone);
    }
    report.verdict()
}

/// Checks the buckets, the keys and the stores of documents; changes none of them.
async fn check_documents(report: &mut Report, config: &Config, documents: &Documents, model: &ModelRef) {
    let clients = app::connect(config, documents).await;
    // The store s3 asks the output's bucket itself.
    let output = (!documents.stores.contains(&StoreName::S3)).then_some(&documents.output);
    for (what, location) in [("input", documents.input.as_ref()), ("output", output)] {
        let Some(S3Location { bucket, prefix, .. }) = location else { continue };
        // Whether the object is there does not matter, only that the request is not denied.
        let answer = clients.0.bucket(bucket).head(&format!("{prefix}/doctor"), None).await;
        report.check(what, answer.map_err(told), |_| format!("s3://{bucket}/{prefix} is accessible"));
    }
    let key = documents.qdrant.as_ref().and_then(|qdrant| qdrant.api_key.as_ref());
    let key = match key {
        None => None,
        Some(key) => {
            let read = PendingApiKey::start("EMBED_QDRANT_API_KEY", Some(key)).wait();
            report.check("EMBED_QDRANT_API_KEY", read, |_| "it can be read".to_owned()).flatten()
        }
    };
    for store in app::stores(documents, model, &clients, key.as_ref()) {
        let what = if store.name() == StoreName::S3.word() { "output" } else { store.name() };
        report.check(what, store.check().await.map_err(told), String::clone);
    }
}

/// A store's error as this report prints it.
fn told(StoreError { message, source, .. }: StoreError) -> Error {
    match source {
        None => Error::Documents { message },
        Some(source) => Error::Documents { message: format!("{message}: {source}") },
    }
}

/// Whether PDFs can be read. A function may do without.
fn pdf(config: &Config) -> String {
    match app::pdf_reader(config).map(|reader| reader.check()) {
        Some(Ok(())) => format!("PDFium at {}", config.pdfium_lib.display()),
        Some(Err(reason)) => format!("PDFs fail, all else is read: {reason}"),
        None => "PDFs fail, all else is read".to_owned(),
    }
}

/// Starts the embedder and embeds one text.
async fn embed(config: &Config, folder: &ModelFolder) -> Result<String> {
    let (embedder, startup) = Embedder::open(config, folder)?;
    let done = embedder.embed(vec!["hello world".to_owned()], Options::default()).await?;
    let length = done.vectors[0].iter().map(|value| value * value).sum::<f32>().sqrt();
    let probed = match &folder.manifest.self_test {
        Some(_) => "the first vector equals the manifest's",
        None => "the manifest has no probe to compare the first vector with",
    };
    Ok(format!("{startup}; {probed}; \"hello world\" has {} tokens and length {length:.4}", done.tokens[0]))
}

/// The CPU's features that int8 products use.
fn cpu() -> String {
    #[cfg(target_arch = "x86_64")]
    let features = [
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512bw", is_x86_feature_detected!("avx512bw")),
        ("avx512vnni", is_x86_feature_detected!("avx512vnni")),
        ("avxvnni", is_x86_feature_detected!("avxvnni")),
        ("sha", is_x86_feature_detected!("sha")),
    ];
    #[cfg(target_arch = "aarch64")]
    let features = [
        ("dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
        ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
    ];
    let has = features.iter().filter(|(_, present)| *present).map(|(name, _)| *name).collect::<Vec<_>>();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cores} cores, {}", std::env::consts::ARCH, has.join(" "))
}

#[derive(Default)]
struct Report {
    failed: bool,
}

impl Report {
    fn note(&self, what: &str, finding: String) {
        println!("ok      {what:<21}{finding}");
    }

    fn check<T>(&mut self, what: &str, outcome: Result<T>, finding: impl FnOnce(&T) -> String) -> Option<T> {
        match outcome {
            Ok(value) => {
                self.note(what, finding(&value));
                Some(value)
            }
            Err(error) => {
                self.failed = true;
                println!("FAILED  {what:<21}{}", error.chain());
                None
            }
        }
    }

    fn verdict(self) -> ExitCode {
        match self.failed {
            true => {
                println!("not ready: mend what FAILED above, top first");
                ExitCode::FAILURE
            }
            false => {
                println!("ready");
                ExitCode::SUCCESS
            }
        }
    }
}
