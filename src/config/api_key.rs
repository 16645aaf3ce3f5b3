//! API keys, ours and Qdrant's: the key itself, or a reference to Secrets Manager or Parameter Store.
//!
//! Invariant: no key shows in a log or a message.

use std::fmt;

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

/// A value that was not understood, for a message: without the user and password of an address, and without the query
/// of a web address, which may hold a key.
pub fn masked(value: &str) -> String {
    let (scheme, rest) = value.split_at(value.find("://").map_or(0, |at| at + 3));
    // A password may hold a slash that should have been encoded.
    let (user, rest) = rest.rsplit_once('@').map_or(("", rest), |(_, host)| ("***@", host));
    match rest.split_once('?') {
        Some((path, _)) if scheme != "s3://" => format!("{scheme}{user}{path}?***"),
        _ => format!("{scheme}{user}{rest}"),
    }
}

/// An API key, as its variable gives it.
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

/// The values that [`ApiKey::parse`] takes, for messages.
pub const EXPECTED: &str = "a token, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME with an optional :FIELD, \
                            ssm:NAME or arn:aws:ssm:REGION:ACCOUNT:parameter/NAME";

impl ApiKey {
    /// Reads the variable's value; a value that does not begin like a reference is the key itself.
    ///
    /// # Errors
    /// What is expected, if the value begins like a reference and is none.
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

#[cfg(test)]
impl Reference {
    /// The reference that `value` is.
    pub fn parse(value: &str) -> Self {
        match ApiKey::parse(value) {
            Ok(ApiKey::Reference(reference)) => reference,
            other => panic!("{value}: {other:?}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:embed/key-a1B2c3";

    #[test]
    fn references_are_told_from_tokens() {
        assert!(
            matches!(ApiKey::parse("sesame:ssm:arn").unwrap(), ApiKey::Plain(key) if key.expose() == "sesame:ssm:arn")
        );
        let region = "eu-north-1".to_owned();
        assert_eq!(
            Reference::parse(ARN),
            Reference::SecretsManager { arn: ARN.into(), region: region.clone(), field: None }
        );
        assert_eq!(
            Reference::parse(&format!("{ARN}:token")),
            Reference::SecretsManager { arn: ARN.into(), region: region.clone(), field: Some("token".into()) }
        );
        assert_eq!(
            Reference::parse("ssm:/embed/key"),
            Reference::Parameter { name: "/embed/key".into(), region: None }
        );
        let parameter = "arn:aws-us-gov:ssm:eu-north-1:123456789012:parameter/embed/key";
        assert_eq!(Reference::parse(parameter), Reference::Parameter { name: parameter.into(), region: Some(region) });
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
}
