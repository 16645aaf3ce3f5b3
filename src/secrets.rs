//! Tokens, ours and Qdrant's, given as they are or by reference to where AWS keeps them.
//!
//! ```text
//! EMBED_API_KEY, …  ->  ApiKey::Plain       used as it is; no client is made
//!                   ->  ApiKey::Reference   fetched once, on a thread beside the model's loading
//! ```
//!
//! Invariants: the default path never touches an AWS client; a token is not fetched again, so a rotated
//! one takes effect in new instances; an empty token is refused, because it would let everyone in; no
//! token shows in a log or a message.

use std::fmt;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, Result};

/// How long a reference may take, tries included: a start has 10 seconds, the model needs some of them.
const FETCH_LIMIT: Duration = Duration::from_secs(6);

/// A value that never shows in a log.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A value that was not understood, for a message: without the user and password that may stand in an address, and
/// without a web address's query, which may hold a key.
pub fn masked(value: &str) -> String {
    let (scheme, rest) = value.split_at(value.find("://").map_or(0, |at| at + 3));
    // A password may hold a slash that ought to have been encoded.
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, host)| ("***@", host));
    match rest.split_once('?') {
        Some((path, _)) if scheme != "s3://" => format!("{scheme}{user}{path}?***"),
        _ => format!("{scheme}{user}{rest}"),
    }
}

/// Where a token comes from.
#[derive(Debug, Clone)]
pub enum ApiKey {
    Plain(Secret),
    Reference(Reference),
}

/// The name of a secret, in one of AWS's two places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `arn:…:secretsmanager:…:secret:name`, with `:field` when the secret is a JSON object, as ECS
    /// writes it.
    SecretsManager { arn: String, region: String, field: Option<String> },
    /// `ssm:/name` in the function's own region, or a parameter's ARN.
    Parameter { name: String, region: Option<String> },
}

/// What [`ApiKey::parse`] takes, for messages.
pub const EXPECTED: &str = "a token, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME with an optional :FIELD, \
                            ssm:NAME or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME";

impl ApiKey {
    /// Reads the variable's value; what does not begin like a reference is the token itself.
    ///
    /// # Errors
    /// [`EXPECTED`] for half a reference, which nobody means as a token.
    pub fn parse(value: &str) -> Result<Self, &'static str> {
        if let Some(name) = value.strip_prefix("ssm:") {
            return match name {
                "" => Err(EXPECTED),
                name => Ok(Self::Reference(Reference::Parameter { name: name.to_owned(), region: None })),
            };
        }
        if !value.starts_with("arn:") {
            return Ok(Self::Plain(Secret::new(value)));
        }
        let parts: Vec<_> = value.split(':').collect();
        match parts[..] {
            [_, _, "secretsmanager", region, _, "secret", name, ref rest @ ..]
                if !region.is_empty() && !name.is_empty() && rest.len() <= 1 =>
            {
                let field = rest.first().filter(|field| !field.is_empty()).map(|field| field.to_string());
                Ok(Self::Reference(Reference::SecretsManager {
                    arn: parts[..7].join(":"),
                    region: region.to_owned(),
                    field,
                }))
            }
            [_, _, "ssm", region, _, name] if !region.is_empty() && name.len() > "parameter/".len() => {
                if !name.starts_with("parameter/") {
                    return Err(EXPECTED);
                }
                let region = Some(region.to_owned());
                Ok(Self::Reference(Reference::Parameter { name: value.to_owned(), region }))
            }
            _ => Err(EXPECTED),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SecretsManager { arn, .. } => f.write_str(arn),
            Self::Parameter { name, region: Some(_) } => f.write_str(name),
            Self::Parameter { name, region: None } => write!(f, "ssm:{name}"),
        }
    }
}

impl Reference {
    /// What the function's role must be allowed.
    fn permission(&self) -> &'static str {
        match self {
            Self::SecretsManager { .. } => "secretsmanager:GetSecretValue",
            Self::Parameter { .. } => "ssm:GetParameter",
        }
    }

    fn error(&self, variable: &'static str, message: impl fmt::Display, source: Option<Failure>) -> Error {
        Error::Secret { variable, reference: self.to_string(), message: message.to_string(), source }
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Somewhere secrets are kept.
pub trait SecretStore {
    /// The text that `reference` names, as it is stored.
    fn read(&self, reference: &Reference) -> impl Future<Output = Result<String, Failure>>;
}

/// The token behind `reference`, which `variable` holds.
///
/// # Errors
/// [`Error::Secret`] that names the reference and what is missing: the permission, the field, a value.
pub async fn token(store: &impl SecretStore, variable: &'static str, reference: &Reference) -> Result<Secret> {
    let error = |message: String, source| reference.error(variable, message, source);
    let stored = store.read(reference).await.map_err(|cause| {
        let message = format!("the token cannot be read; the function's role needs {} on it", reference.permission());
        error(message, Some(cause))
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

/// A token that is there, or on its way on a thread of its own.
pub enum Token {
    There(Option<Secret>),
    Coming(std::io::Result<JoinHandle<Result<Secret>>>),
}

impl Token {
    /// Starts fetching what `key`, the value of `variable`, refers to.
    pub fn begin(variable: &'static str, key: Option<&ApiKey>) -> Self {
        match key {
            None => Self::There(None),
            Some(ApiKey::Plain(token)) => Self::There(Some(token.clone())),
            Some(ApiKey::Reference(reference)) => {
                let reference = reference.clone();
                let thread = std::thread::Builder::new().name("api-key".to_owned());
                Self::Coming(thread.spawn(move || fetch(variable, &reference)))
            }
        }
    }

    /// Waits for it; `None` where the variable is not set.
    pub fn wait(self) -> Result<Option<Secret>> {
        match self {
            Self::There(token) => Ok(token),
            Self::Coming(thread) => {
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
        match tokio::time::timeout(FETCH_LIMIT, token(&Aws, variable, reference)).await {
            Ok(outcome) => outcome,
            Err(late) => {
                let message =
                    format!("AWS did not answer within {} s; does the network let it?", FETCH_LIMIT.as_secs());
                Err(reference.error(variable, message, Some(late.into())))
            }
        }
    })
}

/// Secrets Manager and Systems Manager's Parameter Store.
struct Aws;

impl SecretStore for Aws {
    async fn read(&self, reference: &Reference) -> Result<String, Failure> {
        let defaults = aws_config::defaults(aws_config::BehaviorVersion::latest());
        let region = |name: &String| aws_config::Region::new(name.clone());
        match reference {
            Reference::SecretsManager { arn, region: home, .. } => {
                let config = defaults.region(region(home)).load().await;
                let client = aws_sdk_secretsmanager::Client::new(&config);
                let answer = client.get_secret_value().secret_id(arn).send().await?;
                answer.secret_string.ok_or_else(|| "the secret holds bytes, not text".into())
            }
            Reference::Parameter { name, region: home } => {
                let defaults = match home {
                    Some(home) => defaults.region(region(home)),
                    None => defaults,
                };
                let client = aws_sdk_ssm::Client::new(&defaults.load().await);
                let answer = client.get_parameter().name(name).with_decryption(true).send().await?;
                answer.parameter.and_then(|parameter| parameter.value).ok_or_else(|| "the parameter is empty".into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:embed/key-a1B2c3";

    /// One stored text, whatever is asked.
    struct InMemory(&'static str);

    impl SecretStore for InMemory {
        async fn read(&self, _: &Reference) -> Result<String, Failure> {
            Ok(self.0.to_owned())
        }
    }

    struct Failing;

    impl SecretStore for Failing {
        async fn read(&self, _: &Reference) -> Result<String, Failure> {
            Err("access denied".into())
        }
    }

    fn reference(value: &str) -> Reference {
        match ApiKey::parse(value) {
            Ok(ApiKey::Reference(reference)) => reference,
            other => panic!("{value}: {other:?}"),
        }
    }

    fn token_of(store: &impl SecretStore, value: &str) -> Result<String, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let token = runtime.block_on(token(store, "EMBED_API_KEY", &reference(value)));
        token.map(|secret| secret.expose().to_owned()).map_err(|error| error.chain().to_string())
    }

    #[test]
    fn references_are_told_from_tokens() {
        assert!(
            matches!(ApiKey::parse("sesame:ssm:arn").unwrap(), ApiKey::Plain(key) if key.expose() == "sesame:ssm:arn")
        );
        let region = "eu-north-1".to_owned();
        assert_eq!(reference(ARN), Reference::SecretsManager { arn: ARN.into(), region: region.clone(), field: None });
        assert_eq!(
            reference(&format!("{ARN}:token")),
            Reference::SecretsManager { arn: ARN.into(), region: region.clone(), field: Some("token".into()) }
        );
        assert_eq!(reference("ssm:/embed/key"), Reference::Parameter { name: "/embed/key".into(), region: None });
        let parameter = "arn:aws-us-gov:ssm:eu-north-1:123456789012:parameter/embed/key";
        assert_eq!(reference(parameter), Reference::Parameter { name: parameter.into(), region: Some(region) });
    }

    #[test]
    fn half_a_reference_is_refused() {
        let values = [
            "ssm:",
            "arn:",
            "arn:aws:s3:::bucket",
            "arn:aws:secretsmanager:eu-north-1:1:secret",
            "arn:aws:secretsmanager::1:secret:x",
            "arn:aws:secretsmanager:eu-north-1:1:secret:x:field:stage:id",
            "arn:aws:ssm:eu-north-1:1:parameter/",
            "arn:aws:ssm:eu-north-1:1:document/abcdefgh",
        ];
        for value in values {
            assert!(ApiKey::parse(value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_token_is_read_whole_or_from_a_field() {
        assert_eq!(token_of(&InMemory("sesame\n"), ARN).unwrap(), "sesame");
        assert_eq!(token_of(&InMemory(r#"{"token": "sesame"}"#), &format!("{ARN}:token")).unwrap(), "sesame");
        assert_eq!(token_of(&InMemory("sesame"), "ssm:/embed/key").unwrap(), "sesame");
    }

    #[test]
    fn what_is_no_token_is_refused_without_showing_it() {
        let field = format!("{ARN}:token");
        for stored in [r#"{"other": "hush"}"#, r#"{"token": 5, "a": "hush"}"#, "hush", "[\"hush\"]"] {
            let message = token_of(&InMemory(stored), &field).unwrap_err();
            assert!(message.contains("no field \"token\"") && !message.contains("hush"), "{message}");
        }
        assert!(token_of(&InMemory(" \n"), ARN).unwrap_err().contains("empty"));
    }

    #[test]
    fn a_failed_read_names_reference_permission_and_cause() {
        for (value, permission) in [(ARN, "secretsmanager:GetSecretValue"), ("ssm:/embed/key", "ssm:GetParameter")] {
            let message = token_of(&Failing, value).unwrap_err();
            for word in ["EMBED_API_KEY", value, permission, "access denied"] {
                assert!(message.contains(word), "{word} is not in: {message}");
            }
        }
    }
}
