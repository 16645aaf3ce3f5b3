//! `bootstrap push-model`: a model folder into the bucket that functions fetch it from.

use std::path::Path;
use std::process::ExitCode;

use crate::config::{Config, S3Location, Verify};
use crate::error::{Error, Result};
use crate::model::{ModelFolder, upload};

/// Uploads the model in `folder` to `to` and says what to configure.
pub async fn run(folder: &Path, to: &str) -> Result<ExitCode> {
    let wrong = |expected: String| Error::Config { variable: "--to".to_owned(), value: to.to_owned(), expected };
    let location = S3Location::parse(to).map_err(|expected| wrong(format!("expected {expected}")))?;
    if location.version.is_some() {
        return Err(wrong("an upload makes a version, it cannot name one".to_owned()));
    }
    let config = Config::from_env()?;
    // Hashes every file, because each function would fetch a wrong one.
    let model = ModelFolder::open(folder, Verify::Always)?;
    let pushed = upload::push(&model, &location, &config.aws).await?;
    let path = location.manifest_key();
    let prefix = path.strip_suffix("manifest.json").unwrap_or_default().trim_end_matches('/');
    println!(
        "{}: {} objects sent, {} there already; EMBED_MODEL_S3=s3://{}/{prefix}",
        model.manifest.id, pushed.sent, pushed.skipped, location.bucket
    );
    Ok(ExitCode::SUCCESS)
}
