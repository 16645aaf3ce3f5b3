//! API keys, ours and Qdrant's: used as they are, or fetched from Secrets Manager or Parameter Store.
//!
//! ```text
//! EMBED_API_KEY, …  ->  ApiKey::Plain       used as it is; no client is made
//!                   ->  ApiKey::Reference   fetched once, on a thread of its own while the model loads
//! ```
//!
//! Invariants: without a reference no AWS client is made; a key is fetched once, so a rotated key takes effect in new
//! instances; an empty key is an error, because it would let everyone in; no key shows in a log or a message.

use std::thread::JoinHandle;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use serde_json::json;

use super::http_client::http_client;
use super::json_service::{SECRETS_MANAGER, SYSTEMS_MANAGER};
use crate::config::{ApiKey, Reference, Secret};
use crate::error::{Error, Result, StoreError};

/// The limit of a fetch with its retries: a start has 10 seconds, and the model needs some of them.
const FETCH_LIMIT: Duration = Duration::from_secs(6);

/// The permission that the function's role needs.
fn permission(reference: &Reference) -> &'static str {
    match reference {
        Reference::SecretsManager { .. } => "secretsmanager:GetSecretValue",
        Reference::Parameter { .. } => "ssm:GetParameter",
    }
}

fn unreadable(
    reference: &Reference,
    variable: &'static str,
    message: impl std::fmt::Display,
    source: Option<BoxError>,
) -> Error {
    Error::Secret { variable, reference: reference.to_string(), message: message.to_string(), source }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The API key in `stored`, the text that `reference`, the value of `variable`, refers to.
///
/// # Errors
/// [`Error::Secret`], which names the reference and what is missing: the permission, the field or the value.
fn api_key(stored: Result<String, StoreError>, variable: &'static str, reference: &Reference) -> Result<Secret> {
    let error = |message: String, source| unreadable(reference, variable, message, source);
    let stored = stored.map_err(|cause| {
        let message = format!(
            "the token cannot be read; the function's role needs {} on it: {}",
            permission(reference),
            cause.message
        );
        error(message, cause.source)
    })?;
    let value = match reference {
        Reference::SecretsManager { field: Some(field), .. } => {
            let object: serde_json::Value = serde_json::from_str(&stored).unwrap_or_default();
            let value = object.get(field).and_then(serde_json::Value::as_str).map(str::to_owned);
            value.ok_or_else(|| error(format!("the secret has no field {field:?} that is a string"), None))?
        }
        _ => stored,
    };
    // Shells and editors end files with a newline, which no header can carry.
    match value.trim() {
        "" => Err(error("the token is empty, which would let everyone in".to_owned(), None)),
        token => Ok(Secret::new(token)),
    }
}

/// An API key that is known, or that a thread is fetching.
pub enum PendingApiKey {
    Ready(Option<Secret>),
    Pending(std::io::Result<JoinHandle<Result<Secret>>>),
}

impl PendingApiKey {
    /// Starts to fetch the key if `key`, the value of `variable`, is a reference.
    pub fn start(variable: &'static str, key: Option<&ApiKey>) -> Self {
        match key {
            None => Self::Ready(None),
            Some(ApiKey::Plain(token)) => Self::Ready(Some(token.clone())),
            Some(ApiKey::Reference(reference)) => {
                let reference = reference.clone();
                let thread = std::thread::Builder::new().name("api-key".to_owned());
                Self::Pending(thread.spawn(move || fetch(variable, &reference)))
            }
        }
    }

    /// Waits for the key; `None` where the variable is not set.
    pub fn wait(self) -> Result<Option<Secret>> {
        match self {
            Self::Ready(token) => Ok(token),
            Self::Pending(thread) => {
                let thread = thread.map_err(|e| Error::internal("a thread does not start", e))?;
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map(Some)
            }
        }
    }
}

/// Fetches `reference` from AWS.
fn fetch(variable: &'static str, reference: &Reference) -> Result<Secret> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::internal("the I/O runtime does not start", e))?;
    runtime.block_on(async {
        match tokio::time::timeout(FETCH_LIMIT, read(reference)).await {
            Ok(stored) => api_key(stored, variable, reference),
            Err(late) => {
                let message =
                    format!("AWS did not answer within {} s; does the network let it?", FETCH_LIMIT.as_secs());
                Err(unreadable(reference, variable, message, Some(late.into())))
            }
        }
    })
}

/// The stored text that `reference` names, from Secrets Manager or Systems Manager's Parameter Store.
async fn read(reference: &Reference) -> Result<String, StoreError> {
    let (home, service, operation, input) = match reference {
        Reference::SecretsManager { arn, region, .. } => {
            (Some(region), SECRETS_MANAGER, "GetSecretValue", json!({"SecretId": arn}))
        }
        Reference::Parameter { name, region } => {
            (region.as_ref(), SYSTEMS_MANAGER, "GetParameter", json!({"Name": name, "WithDecryption": true}))
        }
    };
    let defaults = aws_config::defaults(BehaviorVersion::latest()).http_client(http_client(None));
    let defaults = match home {
        Some(home) => defaults.region(Region::new(home.clone())),
        None => defaults,
    };
    let answer = service.ask(&defaults.load().await, operation, &input).await?;
    let (stored, missing) = match reference {
        Reference::SecretsManager { .. } => (&answer["SecretString"], "the secret holds bytes, not text"),
        Reference::Parameter { .. } => (&answer["Parameter"]["Value"], "the parameter is empty"),
    };
    stored.as_str().map(str::to_owned).ok_or_else(|| StoreError::permanent(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:embed/key-a1B2c3";

    fn token_of(stored: &str, value: &str) -> Result<String, String> {
        read_as(Ok(stored.to_owned()), value)
    }

    fn read_as(stored: Result<String, StoreError>, value: &str) -> Result<String, String> {
        let token = api_key(stored, "EMBED_API_KEY", &Reference::parse(value));
        token.map(|secret| secret.expose().to_owned()).map_err(|error| error.chain().to_string())
    }

    #[test]
    fn a_token_is_read_whole_or_from_a_field() {
        assert_eq!(token_of("sesame\n", ARN).unwrap(), "sesame");
        assert_eq!(token_of(r#"{"token": "sesame"}"#, &format!("{ARN}:token")).unwrap(), "sesame");
        assert_eq!(token_of("sesame", "ssm:/embed/key").unwrap(), "sesame");
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        let field = format!("{ARN}:token");
        for stored in [r#"{"other": "hush"}"#, r#"{"token": 5, "a": "hush"}"#, "hush", "[\"hush\"]"] {
            let message = token_of(stored, &field).unwrap_err();
            assert!(message.contains("no field \"token\"") && !message.contains("hush"), "{message}");
        }
        assert!(token_of(" \n", ARN).unwrap_err().contains("empty"));
    }

    #[test]
    fn a_failed_read_names_reference_permission_and_cause() {
        for (value, permission) in [(ARN, "secretsmanager:GetSecretValue"), ("ssm:/embed/key", "ssm:GetParameter")] {
            let message = read_as(Err(StoreError::permanent("access denied")), value).unwrap_err();
            for word in ["EMBED_API_KEY", value, permission, "access denied"] {
                assert!(message.contains(word), "{word} is not in: {message}");
            }
        }
    }
}
