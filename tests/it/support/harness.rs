//! Shared by tests: paths, a handler with the fixture model, calls to it, and the real binary.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex};

use lambda_embed::app;
use lambda_embed::config::Config;
use lambda_embed::handler::Handler;
use lambda_embed::observability::call::Call;
use serde_json::{Value, json};

use crate::support::parts;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn fixture() -> PathBuf {
    root().join("models/fixture")
}

/// ONNX Runtime's library as `make runtime` leaves it.
pub fn library() -> PathBuf {
    let path = root().join("target/runtime").join(std::env::consts::ARCH).join("libonnxruntime.so");
    assert!(path.is_file(), "{} is missing; `make runtime` brings it", path.display());
    path
}

/// PDFium's library as `make runtime` leaves it.
pub fn pdfium() -> PathBuf {
    let path = library().with_file_name("libpdfium.so");
    assert!(path.is_file(), "{} is missing; `make runtime` brings it", path.display());
    path
}

/// The folder of bge-small-en-v1.5, with real weights: 35 MB.
pub fn model() -> PathBuf {
    parts::assert_present("model");
    root().join("models/bge-small-en-v1.5")
}

/// A handler with the library, `model` and further variables.
pub fn handler(model: &Path, variables: &[(&str, &str)]) -> Handler {
    let mut all = vec![
        ("EMBED_MODEL_DIR".to_owned(), model.display().to_string()),
        ("EMBED_ORT_LIB".to_owned(), library().display().to_string()),
        ("EMBED_PDFIUM_LIB".to_owned(), pdfium().display().to_string()),
    ];
    all.extend(variables.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    let mut config = Config::resolve(all, root()).expect("the test's configuration is right");
    config.program = Some(PathBuf::from(env!("CARGO_BIN_EXE_bootstrap")));
    app::open(Arc::new(config)).expect("the model loads").0
}

/// The fixture's handler under default configuration, loaded once.
pub fn fixture_handler() -> Handler {
    static LOADED: LazyLock<Mutex<HashMap<PathBuf, Handler>>> = LazyLock::new(Default::default);
    let mut loaded = LOADED.lock().unwrap();
    loaded.entry(fixture()).or_insert_with(|| handler(&fixture(), &[])).clone()
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The handler's answer to an event, as JSON.
pub fn invoke(handler: &Handler, event: &Value) -> Value {
    let reply =
        block_on(handler.handle(event.to_string().as_bytes(), &Call::default())).expect("the event is answered");
    serde_json::from_str(reply.get()).unwrap()
}

/// A payload 2.0 event.
pub fn event(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Value {
    let headers: HashMap<_, _> = headers.iter().copied().collect();
    json!({
        "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": headers,
        "requestContext": {"stage": "$default", "http": {"method": method, "path": path}},
        "body": body, "isBase64Encoded": false,
    })
}

/// An answer taken apart.
pub struct Answer {
    pub status: u64,
    pub headers: Value,
    pub text: String,
}

impl Answer {
    pub fn of(reply: &Value) -> Self {
        Self {
            status: reply["statusCode"].as_u64().expect("a status"),
            headers: reply["headers"].clone(),
            text: reply["body"].as_str().unwrap_or_default().to_owned(),
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers[name].as_str().unwrap_or_default()
    }
}

/// Posts a JSON body to the fixture.
pub fn post(path: &str, body: &Value) -> Answer {
    post_to(&fixture_handler(), path, body)
}

pub fn post_to(handler: &Handler, path: &str, body: &Value) -> Answer {
    let event = event("POST", path, &[("content-type", "application/json")], &body.to_string());
    Answer::of(&invoke(handler, &event))
}

/// The vectors of `texts` through a direct invocation.
pub fn embed(handler: &Handler, texts: &[&str]) -> Vec<Vec<f32>> {
    vectors(&invoke(handler, &json!({"inputs": texts}))["embeddings"])
}

pub fn vectors(value: &Value) -> Vec<Vec<f32>> {
    serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"))
}

pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

pub fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
}

/// The real binary with the fixture configured and nothing else inherited of ours.
pub fn bootstrap() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bootstrap"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EMBED_") || name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("EMBED_MODEL_DIR", fixture()).env("EMBED_ORT_LIB", library()).env("EMBED_PDFIUM_LIB", pdfium());
    command
}

/// Runs a command to its end: whether it succeeded, its standard output, its standard error.
pub fn output(command: &mut Command) -> (bool, String, String) {
    let done = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (done.status.success(), text(&done.stdout), text(&done.stderr))
}

/// A copy of the fixture's folder that a test may damage; removed when dropped.
pub struct FolderCopy(pub PathBuf);

impl FolderCopy {
    pub fn of_fixture(test: &str) -> Self {
        Self::of(&fixture(), test)
    }

    pub fn of(model: &Path, test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("lambda-embed-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for file in std::fs::read_dir(model).unwrap().map(|file| file.unwrap()) {
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        Self(folder)
    }

    pub fn change(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.0.join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    }

    pub fn change_manifest(&self, change: impl FnOnce(&mut Value)) {
        self.change("manifest.json", |bytes| {
            let mut manifest = serde_json::from_slice(bytes).unwrap();
            change(&mut manifest);
            *bytes = serde_json::to_vec(&manifest).unwrap();
        });
    }

    /// Writes the files' present sizes and hashes into the manifest, as a model's maker would.
    pub fn seal(&self) {
        use sha2::{Digest, Sha256};
        self.change_manifest(|manifest| {
            for (_, file) in manifest["files"].as_object_mut().unwrap() {
                let bytes = std::fs::read(self.0.join(file["path"].as_str().unwrap())).unwrap();
                let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
                (file["size"], file["sha256"]) = (bytes.len().into(), hash.into());
            }
        });
    }
}

impl Drop for FolderCopy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
