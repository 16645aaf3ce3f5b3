//! An SDK's error as a [`StoreError`]: why the request failed, whether it may succeed later, and what to do.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};

use crate::error::{StoreError, StoreErrorKind};

/// What to do about an object in S3 Glacier Flexible Retrieval or Deep Archive, or in an archive tier of Intelligent-Tiering.
const RESTORE: &str = "the object is archived; restore it (`aws s3api restore-object`), and S3's event \
                       ObjectRestore:Completed has it embedded";

const KMS_KEY: &str = "the object's KMS key cannot be used: it is disabled, deleted or not for this region; enable it, or \
                       store the object under another key";

const CUSTOMER_KEY: &str = "the object is encrypted with a key of its owner (SSE-C), which this function does not have; \
                            store it with SSE-S3 or SSE-KMS";

impl StoreError {
    /// The error of a request to `service` in `region`, which needs `rights`.
    pub fn from_sdk<E>(error: SdkError<E>, service: &str, rights: &str, region: &str) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(answer) = &error else { return Self::no_response(error, service) };
        let status = answer.raw().status().as_u16();
        let code = answer.err().meta().code().unwrap_or_default();
        let said = answer.err().meta().message().unwrap_or_default();
        let elsewhere = answer.raw().headers().get("x-amz-bucket-region").filter(|other| *other != region);
        let (kind, remedy) = match (status, code) {
            (301 | 400, _)
                if elsewhere.is_some() || matches!(code, "PermanentRedirect" | "AuthorizationHeaderMalformed") =>
            {
                let other = elsewhere.map_or(String::new(), |other| format!(" ({other})"));
                let remedy = format!("the bucket lies in another region{other} than the one asked, {region}");
                (StoreErrorKind::WrongRegion, remedy)
            }
            (_, "NoSuchBucket") => (StoreErrorKind::NotFound, "there is no such bucket".to_owned()),
            (_, "NoSuchVersion") => (StoreErrorKind::NotFound, "the object has no such version".to_owned()),
            // Of S3 Vectors: an index or a vector bucket.
            (_, "NotFoundException") => (StoreErrorKind::NotFound, String::new()),
            (_, "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder") => (StoreErrorKind::NoSuchUpload, String::new()),
            (_, "NoSuchKey") | (404, _) => (StoreErrorKind::NotFound, "there is no such object".to_owned()),
            (412, _) | (_, "ConflictException") | (409, "ConditionalRequestConflict") => {
                (StoreErrorKind::PreconditionFailed, "it was changed meanwhile".to_owned())
            }
            (_, "InvalidObjectState") => (StoreErrorKind::Archived, RESTORE.to_owned()),
            (_, code) if code.starts_with("KMS.") => (StoreErrorKind::Other, KMS_KEY.to_owned()),
            // S3 has no code of its own for this one, nor for the next: only the message tells.
            (400, _) if said.contains("Server Side Encryption") => (StoreErrorKind::Other, CUSTOMER_KEY.to_owned()),
            (_, "AccessDenied" | "AccessDeniedException") if said.contains("kms:") => {
                let right = said.split_whitespace().find(|word| word.starts_with("kms:")).unwrap_or("kms:Decrypt");
                let right = right.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
                (StoreErrorKind::AccessDenied, format!("access denied; the role needs {right} on the bucket's KMS key"))
            }
            (_, "AccessDenied" | "AccessDeniedException") | (403, "") => {
                (StoreErrorKind::AccessDenied, format!("access denied; the role needs {rights}"))
            }
            _ => (StoreErrorKind::Other, String::new()),
        };
        let retryable = status >= 500 || matches!(status, 408 | 429) || matches!(code, "SlowDown" | "RequestTimeout");
        let answer = format!("{service} answered {status} {code}").trim_end().to_owned();
        let answer = if said.is_empty() { answer } else { format!("{answer} ({said})") };
        let message = if remedy.is_empty() { answer } else { format!("{remedy}; {answer}") };
        Self { retryable, kind, ..Self::retryable(message) }
    }

    fn no_response<E>(error: SdkError<E>, service: &str) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let no_credentials =
            matches!(&error, SdkError::DispatchFailure(failure) if has_no_credentials(failure.as_connector_error()));
        let (message, retryable) = match &error {
            SdkError::DispatchFailure(_) if no_credentials => (
                "no credentials were found; set AWS_ACCESS_KEY_ID and its companions, or a profile or role".to_owned(),
                false,
            ),
            SdkError::DispatchFailure(failure) => (format!("{service} could not be asked"), !failure.is_user()),
            SdkError::ConstructionFailure(_) => (format!("{service} cannot be asked so"), false),
            SdkError::TimeoutError(_) => (format!("{service} did not answer in time"), true),
            _ => (format!("the answer of {service} was not understood"), true),
        };
        Self { retryable, ..Self::retryable(message) }.with_source(error)
    }
}

/// Whether a request was never sent because the client has no credentials.
fn has_no_credentials(error: Option<&ConnectorError>) -> bool {
    let mut cause = error.map(|error| error as &dyn std::error::Error);
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use aws_credential_types::provider::{ProvideCredentials, future};
    use aws_sdk_s3::config::retry::RetryConfig;
    use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};

    use super::*;
    use crate::aws::http_client::http_client;

    #[derive(Debug)]
    struct Nobody;

    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded_no_source()))
        }
    }

    /// The error of a GET that S3 answers with this status, code and message.
    fn of_answer(status: u16, code: &str, message: &str) -> StoreError {
        let body = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        let length = body.len();
        let answer = format!("HTTP/1.1 {status} Error\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let _ = client.read(&mut [0; 8192]).unwrap();
            client.write_all(answer.as_bytes()).unwrap();
        });
        let builder = Builder::new().behavior_version(BehaviorVersion::latest()).region(Region::new("us-east-1"));
        let builder = builder.credentials_provider(Credentials::new("id", "key", None, None, "test"));
        let builder = builder.retry_config(RetryConfig::disabled()).force_path_style(true);
        let builder = builder.http_client(http_client(Some("http://")));
        let client = aws_sdk_s3::Client::from_conf(builder.endpoint_url(format!("http://{address}")).build());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(client.get_object().bucket("bucket").key("a").send());
        server.join().unwrap();
        StoreError::from_sdk(answer.unwrap_err(), "S3", "s3:GetObject", "us-east-1")
    }

    #[test]
    fn an_archived_object_is_to_be_restored() {
        let message = "The operation is not valid for the object's storage class";
        let error = of_answer(403, "InvalidObjectState", message);
        assert_eq!((error.kind, error.retryable), (StoreErrorKind::Archived, false));
        assert!(error.message.contains("restore-object"), "{}", error.message);
    }

    #[test]
    fn the_right_that_a_kms_key_asks_for_is_named() {
        for right in ["kms:Decrypt", "kms:GenerateDataKey"] {
            let message = format!(
                "User: arn:aws:sts::1:assumed-role/r is not authorized to perform: {right} on resource: arn:aws:kms:us-east-1:1:key/k because no policy allows it"
            );
            let error = of_answer(403, "AccessDenied", &message);
            assert_eq!(error.kind, StoreErrorKind::AccessDenied);
            assert!(
                error.message.starts_with(&format!("access denied; the role needs {right} on")),
                "{}",
                error.message
            );
        }
        let error = of_answer(403, "AccessDenied", "Access Denied");
        assert!(error.message.starts_with("access denied; the role needs s3:GetObject"), "{}", error.message);
    }

    #[test]
    fn a_key_that_cannot_be_used_is_told_from_a_missing_right() {
        for code in ["KMS.DisabledException", "KMS.KMSInvalidStateException", "KMS.NotFoundException"] {
            let error = of_answer(400, code, "arn:aws:kms:us-east-1:1:key/k is disabled.");
            assert!(!error.retryable && error.message.starts_with("the object's KMS key"), "{}", error.message);
        }
        let message = "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.";
        let error = of_answer(400, "InvalidRequest", message);
        assert!(!error.retryable && error.message.contains("SSE-C"), "{}", error.message);
    }

    #[test]
    fn missing_credentials_are_told_from_a_network_that_fails() {
        let builder = Builder::new().behavior_version(BehaviorVersion::latest()).credentials_provider(Nobody);
        // Nothing listens on the port that was free a moment ago.
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let builder = builder.region(Region::new("us-east-1")).endpoint_url(format!("http://{address}"));
        let builder = builder.http_client(http_client(Some("http://")));
        let client = aws_sdk_s3::Client::from_conf(builder.build());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(client.head_object().bucket("bucket").key("a").send());
        let error = StoreError::from_sdk(answer.unwrap_err(), "S3", "", "us-east-1");
        assert!(!error.retryable && error.message.starts_with("no credentials"), "{error:?}");
    }
}
