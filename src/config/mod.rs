//! The environment, read once: every `EMBED_*` variable parsed into [`Config`], defaults resolved.
//!
//! The variables are passed in, so a test never sets one. A value that is not understood and an unknown `EMBED_*`
//! variable are errors that say what is allowed: a silent default would hide a spelling mistake.

mod api_key;
mod aws;
mod bucket_name;
mod documents;
mod stores;
mod variables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use api_key::{ApiKey, Reference, Secret};
pub use aws::{AccessKeys, Aws, S3Location};
pub use bucket_name::stand_in;
pub use documents::{DocumentLimits, Documents, EncodeOptions, OutputFormat, StoreName, VectorEncoding};
pub use stores::{HybridVectors, Qdrant, S3Vectors};
pub use variables::{GROUPS, Group, Variable};

use crate::error::{Error, Result};
use crate::observability::metrics;

const PAYERS: &[(&str, bool)] = &[("owner", false), ("requester", true)];

/// Variables of Lambda that are read as well.
const FROM_LAMBDA: [&str; 3] = ["AWS_LAMBDA_LOG_LEVEL", MEMORY_SIZE, FUNCTION_NAME];
const FUNCTION_NAME: &str = "AWS_LAMBDA_FUNCTION_NAME";
const MEMORY_SIZE: &str = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";

/// Megabytes of memory that come with one whole virtual CPU (AWS's "Configure Lambda function memory").
const MEGABYTES_PER_CPU: usize = 1769;

/// Whether a model's bytes are hashed before use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Every file's sha256 against the manifest.
    Always,
    /// The size of every file only: for a package whose bytes were checked when it was built.
    Sizes,
}

/// Whose kernels run a model that this project made. Others run with ONNX Runtime's whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// This project's, in the operators of the model's own graph.
    Own,
    /// ONNX Runtime's, in the standard graph, where the model brings it.
    OnnxRuntime,
}

/// What is made of token ids in place of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenIds {
    /// They are read as cl100k_base, the encoding of OpenAI's embedding models.
    Cl100k,
    Refuse,
}

/// The limits of a request and of calls at once.
#[derive(Debug, Clone)]
pub struct Limits {
    pub texts: usize,
    pub tokens: usize,
    /// Bytes of a request's body after base64 and gzip.
    pub body_bytes: usize,
    /// Bytes of a response's body; `None`: what its front door takes.
    pub response_bytes: Option<usize>,
    /// Bytes of a streamed response's body.
    pub stream_bytes: usize,
    /// Calls that are admitted at once.
    pub calls: usize,
}

/// The resolved configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub model_dir: PathBuf,
    /// Where the model is fetched from; `None`: it lies in `model_dir`.
    pub model_s3: Option<S3Location>,
    /// Where a fetched model is written.
    pub cache_dir: PathBuf,
    pub aws: Aws,
    pub ort_lib: PathBuf,
    /// Loaded in the processes that read PDFs.
    pub pdfium_lib: PathBuf,
    pub verify: Verify,
    pub kernels: Kernels,
    /// Texts embedded side by side; at least 1.
    pub threads: usize,
    pub limits: Limits,
    /// Names that requests may have for the model beside its own; `*` stands for any.
    pub model_aliases: Vec<String>,
    pub token_ids: TokenIds,
    /// Whether answers are streamed through front doors that can stream.
    pub response_stream: bool,
    /// Path prefix without a trailing slash; empty when there is none.
    pub base_path: String,
    pub api_key: Option<ApiKey>,
    /// Origins that may read answers from a browser; empty turns CORS off.
    pub cors_origins: Vec<String>,
    /// `None`: this function takes no documents.
    pub documents: Option<Documents>,
    /// The running binary, which is started again to read PDFs; `None`: they are not read.
    pub program: Option<PathBuf>,
    pub log: tracing::Level,
    pub metrics: metrics::Names,
}

impl Config {
    /// Reads the process's environment; defaults are relative to the running binary.
    pub fn from_env() -> Result<Self> {
        let binary =
            std::env::current_exe().map_err(|e| Error::internal("cannot find the running binary's path", e))?;
        let beside = binary.parent().unwrap_or(Path::new("."));
        let mut config = Self::resolve(std::env::vars(), beside)?;
        config.program = Some(binary.clone());
        Ok(config)
    }

    /// Resolves `variables`; `beside` is the folder that holds the binary.
    ///
    /// # Errors
    /// [`Error::Config`] for the first variable that is unknown or has a value that is not understood.
    pub fn resolve(variables: impl IntoIterator<Item = (String, String)>, beside: &Path) -> Result<Self> {
        let given = Given::read(variables)?;
        Ok(Self {
            model_dir: given.path("EMBED_MODEL_DIR").unwrap_or_else(|| beside.join("model")),
            model_s3: given.model_s3()?,
            cache_dir: given.path("EMBED_CACHE_DIR").unwrap_or_else(|| PathBuf::from("/tmp/lambda-embed")),
            aws: Aws {
                requester_pays: given.choice("EMBED_REQUEST_PAYER", PAYERS)?.unwrap_or(false),
                ..Aws::resolve(|name| given.text(name))
            },
            ort_lib: given.path("EMBED_ORT_LIB").unwrap_or_else(|| beside.join("lib/libonnxruntime.so")),
            pdfium_lib: given.path("EMBED_PDFIUM_LIB").unwrap_or_else(|| beside.join("lib/libpdfium.so")),
            verify: given
                .choice("EMBED_VERIFY", &[("always", Verify::Always), ("sizes", Verify::Sizes)])?
                .unwrap_or(Verify::Always),
            kernels: given
                .choice("EMBED_KERNELS", &[("own", Kernels::Own), ("onnxruntime", Kernels::OnnxRuntime)])?
                .unwrap_or(Kernels::Own),
            threads: match given.number("EMBED_THREADS", 1..=64)? {
                Some(threads) => threads,
                None => given.cores()?,
            },
            limits: Limits {
                texts: given.number("EMBED_MAX_TEXTS", 1..=1_000_000)?.unwrap_or(2_048),
                tokens: given.number("EMBED_MAX_TOKENS", 1..=100_000_000)?.unwrap_or(300_000),
                body_bytes: given.number("EMBED_MAX_BODY_BYTES", 1..=1 << 30)?.unwrap_or(6 * 1024 * 1024),
                response_bytes: given.number("EMBED_MAX_RESPONSE_BYTES", 1..=1 << 30)?,
                stream_bytes: given.number("EMBED_MAX_STREAM_BYTES", 1..=200_000_000)?.unwrap_or(64_000_000),
                calls: given.number("EMBED_MAX_CALLS", 1..=100_000)?.unwrap_or(64),
            },
            model_aliases: given.text("EMBED_MODEL_ALIASES").map(split_list).unwrap_or_default(),
            token_ids: given
                .choice("EMBED_TOKEN_IDS", &[("cl100k", TokenIds::Cl100k), ("refuse", TokenIds::Refuse)])?
                .unwrap_or(TokenIds::Cl100k),
            response_stream: given.choice("EMBED_RESPONSE_STREAM", &[("on", true), ("off", false)])?.unwrap_or(false),
            base_path: given.base_path()?,
            api_key: given.api_key("EMBED_API_KEY")?,
            cors_origins: given.text("EMBED_CORS_ORIGINS").map(split_list).unwrap_or_default(),
            documents: given.documents()?,
            program: None,
            log: given.log_level()?,
            metrics: given.metrics(),
        })
    }
}

/// The variables that are read, as they were set. An empty value counts as not set, because a template's parameters
/// default to "".
struct Given(BTreeMap<String, String>);

impl Given {
    fn read(variables: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut given = BTreeMap::new();
        for (name, value) in variables {
            let ours = name.starts_with("EMBED_");
            if ours && !Variable::all().any(|v| v.name == name) {
                let expected = format!("no such variable; there are {}", list(Variable::all().map(|v| v.name)));
                // The value may be a secret whose variable is misspelt.
                return Err(Error::Config { variable: name, value: "***".to_owned(), expected });
            }
            let awss = FROM_LAMBDA.contains(&name.as_str()) || aws::AWS_VARIABLES.contains(&name.as_str());
            if (ours || awss) && !value.is_empty() {
                given.insert(name, value);
            }
        }
        Ok(Self(given))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    fn number(&self, name: &str, range: std::ops::RangeInclusive<usize>) -> Result<Option<usize>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match value.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(self.misunderstood(name, format!("a whole number from {} to {}", range.start(), range.end()))),
        }
    }

    fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(value)) {
            Some((_, choice)) => Ok(Some(*choice)),
            None => Err(self.misunderstood(name, list(choices.iter().map(|(word, _)| *word)))),
        }
    }

    fn model_s3(&self) -> Result<Option<S3Location>> {
        let Some(value) = self.text("EMBED_MODEL_S3") else { return Ok(None) };
        if self.text("EMBED_MODEL_DIR").is_some() {
            return Err(
                self.misunderstood("EMBED_MODEL_S3", "no EMBED_MODEL_DIR beside it: a model has one source".into())
            );
        }
        S3Location::parse(value).map(Some).map_err(|expected| self.misunderstood("EMBED_MODEL_S3", expected))
    }

    fn base_path(&self) -> Result<String> {
        let Some(value) = self.text("EMBED_BASE_PATH") else { return Ok(String::new()) };
        if !value.starts_with('/') {
            return Err(self.misunderstood("EMBED_BASE_PATH", "a path that starts with /".to_owned()));
        }
        Ok(value.trim_end_matches('/').to_owned())
    }

    /// The value may be the key itself, so the message does not repeat it.
    fn api_key(&self, name: &str) -> Result<Option<ApiKey>> {
        let parsed = self.text(name).map(ApiKey::parse).transpose();
        parsed.map_err(|expected| Error::Config {
            variable: name.to_owned(),
            value: "***".to_owned(),
            expected: format!("expected {expected}"),
        })
    }

    /// The machine's cores; under Lambda no more than the memory pays for. A small function sees two cores and gets a
    /// share of them, so a second thread would only slow the first.
    fn cores(&self) -> Result<usize> {
        let there = std::thread::available_parallelism().map_or(1, usize::from);
        let paid = self.number(MEMORY_SIZE, 1..=1_000_000)?.map(|megabytes| megabytes.div_ceil(MEGABYTES_PER_CPU));
        Ok(paid.map_or(there, |paid| paid.min(there)))
    }

    /// `EMBED_LOG`, else the level in the function's log configuration; Lambda writes levels in capitals and calls the
    /// highest one FATAL.
    fn log_level(&self) -> Result<tracing::Level> {
        use tracing::Level;
        let levels = [
            ("error", Level::ERROR),
            ("warn", Level::WARN),
            ("info", Level::INFO),
            ("debug", Level::DEBUG),
            ("trace", Level::TRACE),
            ("fatal", Level::ERROR),
        ];
        let own = self.choice("EMBED_LOG", &levels[..5])?;
        Ok(own.or(self.choice("AWS_LAMBDA_LOG_LEVEL", &levels)?).unwrap_or(Level::INFO))
    }

    /// Outside of Lambda nobody reads CloudWatch's format, so it is written only if a namespace is set.
    fn metrics(&self) -> metrics::Names {
        let function = self.text(FUNCTION_NAME);
        let namespace = self.text("EMBED_METRICS_NAMESPACE").or(function.map(|_| "LambdaEmbed"));
        metrics::Names {
            service: self.text("EMBED_SERVICE").or(function).unwrap_or("lambda-embed").to_owned(),
            namespace: namespace.filter(|name| !name.eq_ignore_ascii_case("off")).map(str::to_owned),
        }
    }

    fn misunderstood(&self, name: &str, expected: String) -> Error {
        let value = api_key::masked(self.text(name).unwrap_or_default());
        Error::Config { variable: name.to_owned(), value, expected: format!("expected {expected}") }
    }
}

fn split_list(value: &str) -> Vec<String> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(variables: &[(&str, &str)]) -> Result<Config> {
        let owned = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Config::resolve(owned, Path::new("/var/task"))
    }

    fn message(variables: &[(&str, &str)]) -> String {
        resolve(variables).expect_err("must be refused").to_string()
    }

    #[test]
    fn defaults_lie_beside_the_binary() {
        let config = resolve(&[]).unwrap();
        assert_eq!(config.model_dir, Path::new("/var/task/model"));
        assert_eq!(config.ort_lib, Path::new("/var/task/lib/libonnxruntime.so"));
        assert_eq!(config.pdfium_lib, Path::new("/var/task/lib/libpdfium.so"));
        assert_eq!((config.limits.texts, config.limits.tokens), (2_048, 300_000));
        assert_eq!((config.verify, config.kernels), (Verify::Always, Kernels::Own));
        assert!(config.threads >= 1);
    }

    #[test]
    fn a_misspelt_variable_is_named_with_the_ones_there_are() {
        let message = message(&[("EMBED_MODEL_DIRR", "/x")]);
        assert!(message.contains("EMBED_MODEL_DIRR") && message.contains("EMBED_MODEL_DIR,"), "{message}");
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let misspelt = message(&[("EMBED_APIKEY", "hush")]);
        assert!(misspelt.contains("EMBED_APIKEY=\"***\"") && !misspelt.contains("hush"), "{misspelt}");
        for (value, shown) in [
            ("https://me:hush@bucket/a", "https://***@bucket/a"),
            ("https://me:hush/hush@host", "https://***@host"),
            ("s3x://hush@b", "s3x://***@b"),
            ("me:hush@b", "***@b"),
            ("https://bucket/a?key=hush", "https://bucket/a?***"),
        ] {
            let refused = message(&[("EMBED_MODEL_S3", value)]);
            assert!(refused.contains(&format!("{shown:?}")) && !refused.contains("hush"), "{refused}");
        }
    }

    #[test]
    fn a_value_out_of_range_names_variable_value_and_range() {
        for value in ["0", "65", "two", "-1", "1.5"] {
            let message = message(&[("EMBED_THREADS", value)]);
            assert!(message.contains("EMBED_THREADS") && message.contains(value), "{message}");
            assert!(message.contains("from 1 to 64"), "{message}");
        }
    }

    #[test]
    fn a_choice_lists_what_is_allowed() {
        assert!(message(&[("EMBED_VERIFY", "never")]).contains("always, sizes"));
        assert_eq!(resolve(&[("EMBED_VERIFY", "SIZES")]).unwrap().verify, Verify::Sizes);
        assert!(message(&[("EMBED_KERNELS", "openvino")]).contains("own, onnxruntime"));
        assert_eq!(resolve(&[("EMBED_KERNELS", "onnxruntime")]).unwrap().kernels, Kernels::OnnxRuntime);
    }

    #[test]
    fn a_model_has_one_source() {
        let config = resolve(&[("EMBED_MODEL_S3", "s3://bucket/models/a")]).unwrap();
        assert_eq!(config.model_s3.unwrap().manifest_key(), "models/a/manifest.json");
        assert_eq!(config.cache_dir, Path::new("/tmp/lambda-embed"));
        let both = message(&[("EMBED_MODEL_S3", "s3://bucket/a"), ("EMBED_MODEL_DIR", "/x")]);
        assert!(both.contains("EMBED_MODEL_S3") && both.contains("one source"), "{both}");
        assert!(message(&[("EMBED_MODEL_S3", "bucket/a")]).contains("it starts with s3://"));
    }

    #[test]
    fn an_empty_value_counts_as_not_set() {
        assert!(resolve(&[("EMBED_THREADS", ""), ("EMBED_API_KEY", "")]).unwrap().api_key.is_none());
    }

    #[test]
    fn lambda_log_level_serves_unless_ours_is_set() {
        assert_eq!(resolve(&[("AWS_LAMBDA_LOG_LEVEL", "WARN")]).unwrap().log, tracing::Level::WARN);
        let both = [("AWS_LAMBDA_LOG_LEVEL", "WARN"), ("EMBED_LOG", "debug")];
        assert_eq!(resolve(&both).unwrap().log, tracing::Level::DEBUG);
    }

    #[test]
    fn lambdas_memory_limits_the_threads() {
        assert_eq!(resolve(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")]).unwrap().threads, 1);
        assert_eq!(resolve(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")]).unwrap().threads, 1);
        let there = std::thread::available_parallelism().unwrap().get();
        assert_eq!(resolve(&[("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "10240")]).unwrap().threads, there.min(6));
        let both = [("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"), ("EMBED_THREADS", "3")];
        assert_eq!(resolve(&both).unwrap().threads, 3);
    }

    #[test]
    fn a_secret_does_not_show() {
        let variables = ["EMBED_API_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"].map(|name| (name, "hush"));
        let config = resolve(&[&variables[..], &[("AWS_ACCESS_KEY_ID", "id")]].concat()).unwrap();
        assert_eq!(config.aws.keys.as_ref().unwrap().secret.expose(), "hush");
        assert!(!format!("{config:?}").contains("hush"));
        let message = message(&[("EMBED_API_KEY", "arn:aws:hush")]);
        assert!(message.contains("EMBED_API_KEY") && message.contains("ssm:NAME"), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }
}
