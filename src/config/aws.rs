//! A location in S3, and the variables of AWS that the clients need.

use super::stand_in;
use crate::config::Secret;

/// A parsed `s3://bucket/prefix?versionId=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Location {
    pub bucket: String,
    /// Without slashes at its ends; empty for the bucket's root.
    pub prefix: String,
    /// The version of manifest.json; its hashes pin every other file.
    pub version: Option<String>,
}

impl S3Location {
    /// Parses a location.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let expected = |why: &str| format!("s3://bucket/prefix, optionally with ?versionId=…; {why}");
        let named = text.strip_prefix("s3://").unwrap_or(text);
        if named.starts_with("arn:")
            && let Some(what) = stand_in(named)
        {
            return Err(expected(&format!("this is {what}")));
        }
        let rest = text.strip_prefix("s3://").ok_or_else(|| expected("it starts with s3://"))?;
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if !(3..=63).contains(&bucket.len()) || !bucket.chars().all(plain) {
            return Err(expected("a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens"));
        }
        let version = match query.map(|query| query.split_once('=')) {
            None => None,
            Some(Some(("versionId", version))) if !version.is_empty() && !version.contains('&') => {
                Some(version.to_owned())
            }
            Some(_) => return Err(expected("after ? there is versionId alone")),
        };
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned(), version })
    }

    /// The key of the manifest, the one object whose name never changes.
    pub fn manifest_key(&self) -> String {
        self.key("manifest.json")
    }

    /// The key of a file. It holds the file's hash, so an upload never overwrites a file of another model.
    pub fn file_key(&self, sha256: &str, name: &str) -> String {
        self.key(&format!("{sha256}/{name}"))
    }

    /// Whether an object at `key` lies below this prefix.
    pub fn covers(&self, key: &str) -> bool {
        self.prefix.is_empty() || key.strip_prefix(&self.prefix).is_some_and(|rest| rest.starts_with('/'))
    }

    /// The key of `rest` below this prefix.
    pub fn key(&self, rest: &str) -> String {
        match self.prefix.as_str() {
            "" => rest.to_owned(),
            prefix => format!("{prefix}/{rest}"),
        }
    }
}

/// AWS's own variables, as Lambda sets them. If some are missing the SDK's default chain is used (profiles, container
/// roles), which takes longer than a start can spare and which Lambda never needs.
#[derive(Debug, Clone, Default)]
pub struct Aws {
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `AWS_ENDPOINT_URL_S3`, else `AWS_ENDPOINT_URL`; set for servers other than AWS's.
    pub endpoint: Option<String>,
    /// `AWS_ENDPOINT_URL_S3VECTORS`, else `AWS_ENDPOINT_URL`.
    pub vectors_endpoint: Option<String>,
    /// `AWS_ACCESS_KEY_ID` and its companions; on Lambda those of the function's role.
    pub keys: Option<AccessKeys>,
    /// Whether requests to S3 say that this function's account pays for them.
    pub requester_pays: bool,
}

/// Static credentials.
#[derive(Debug, Clone)]
pub struct AccessKeys {
    pub id: String,
    pub secret: Secret,
    pub session_token: Option<Secret>,
}

/// The variables [`Aws::resolve`] asks for.
pub(super) const AWS_VARIABLES: &[&str] = &[
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_S3VECTORS",
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

impl Aws {
    /// Reads AWS's variables with `look_up`.
    pub(super) fn resolve<'a>(look_up: impl Fn(&str) -> Option<&'a str>) -> Self {
        let first = |names: [&str; 2]| names.into_iter().find_map(&look_up).map(str::to_owned);
        let secret = |name| look_up(name).map(Secret::new);
        let keys = look_up("AWS_ACCESS_KEY_ID").zip(secret("AWS_SECRET_ACCESS_KEY"));
        Self {
            region: first(["AWS_REGION", "AWS_DEFAULT_REGION"]),
            endpoint: first(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            vectors_endpoint: first(["AWS_ENDPOINT_URL_S3VECTORS", "AWS_ENDPOINT_URL"]),
            requester_pays: false,
            keys: keys.map(|(id, secret_key)| AccessKeys {
                id: id.to_owned(),
                secret: secret_key,
                session_token: secret("AWS_SESSION_TOKEN"),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_taken_apart() {
        let location =
            S3Location::parse("s3://models.example/a/b/?versionId=3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY").unwrap();
        assert_eq!((location.bucket.as_str(), location.prefix.as_str()), ("models.example", "a/b"));
        assert_eq!(location.version.as_deref(), Some("3/L4kqtJlcpXroDTDmJ+rmSpXd3dIbrHY"));
        assert_eq!(location.manifest_key(), "a/b/manifest.json");
        assert_eq!(location.file_key("00ff", "model.onnx"), "a/b/00ff/model.onnx");
    }

    #[test]
    fn the_root_of_a_bucket_is_a_prefix_too() {
        for text in ["s3://bucket", "s3://bucket/"] {
            let location = S3Location::parse(text).unwrap();
            assert_eq!((location.manifest_key().as_str(), location.version), ("manifest.json", None));
        }
    }

    #[test]
    fn what_is_no_location_is_refused() {
        let wrong = [
            "bucket/prefix",
            "https://bucket.s3.amazonaws.com/prefix",
            "s3://",
            "s3://ab/prefix",
            "s3://Bucket/prefix",
            "s3://bucket/prefix?version=1",
            "s3://bucket/prefix?versionId=",
            "s3://bucket/prefix?versionId=1&x=2",
            "s3://arn:aws:s3:us-east-1:111122223333:accesspoint/theirs/prefix",
            "arn:aws:s3:::bucket",
        ];
        for text in wrong {
            assert!(S3Location::parse(text).unwrap_err().starts_with("s3://bucket/prefix"), "{text}");
        }
    }

    #[test]
    fn the_s3_endpoint_goes_before_the_general_one() {
        let look_up = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some("http://general"),
            "AWS_ENDPOINT_URL_S3" => Some("http://s3"),
            "AWS_ACCESS_KEY_ID" => Some("id without a secret"),
            _ => None,
        };
        let aws = Aws::resolve(look_up);
        assert_eq!(aws.endpoint.as_deref(), Some("http://s3"));
        assert!(aws.keys.is_none() && aws.region.is_none());
    }
}
