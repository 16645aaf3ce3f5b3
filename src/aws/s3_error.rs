//! What S3 answers when it does not do what it was asked: why, whether asking again may help, what to do.

use aws_sdk_s3::error::{ConnectorError, ProvideErrorMetadata, SdkError};

use crate::error::{StoreError, StoreErrorKind};

impl StoreError {
    /// The client's error, in the words of whoever has to mend it. `rights` are those that the request needs,
    /// `region` is the one that was asked.
    pub fn from_sdk<E>(error: SdkError<E>, rights: &str, region: &str) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(refused) = &error else { return Self::no_response(error) };
        let status = refused.raw().status().as_u16();
        let code = refused.err().meta().code().unwrap_or_default();
        let said = refused.err().meta().message().unwrap_or_default();
        let elsewhere = refused.raw().headers().get("x-amz-bucket-region").filter(|other| *other != region);
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
            (_, "NoSuchUpload" | "InvalidPart" | "InvalidPartOrder") => (StoreErrorKind::NoSuchUpload, String::new()),
            (_, "NoSuchKey") | (404, _) => (StoreErrorKind::NotFound, "there is no such object".to_owned()),
            (412, _) | (409, "ConditionalRequestConflict") => {
                (StoreErrorKind::PreconditionFailed, "it was changed meanwhile".to_owned())
            }
            (_, "AccessDenied") | (403, "") => {
                (StoreErrorKind::AccessDenied, format!("access denied; the role needs {rights}"))
            }
            _ => (StoreErrorKind::Other, String::new()),
        };
        let retryable = status >= 500 || matches!(status, 408 | 429) || matches!(code, "SlowDown" | "RequestTimeout");
        let answer = format!("S3 answered {status} {code}").trim_end().to_owned();
        let answer = if said.is_empty() { answer } else { format!("{answer} ({said})") };
        let message = if remedy.is_empty() { answer } else { format!("{remedy}; {answer}") };
        Self { message, retryable, kind, source: None }
    }

    fn no_response<E>(error: SdkError<E>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let nobody =
            matches!(&error, SdkError::DispatchFailure(failure) if has_no_credentials(failure.as_connector_error()));
        let (message, retryable) = match &error {
            SdkError::DispatchFailure(_) if nobody => (
                "nobody's credentials were found; set AWS_ACCESS_KEY_ID and its companions, or a profile or role",
                false,
            ),
            SdkError::DispatchFailure(failure) => ("S3 could not be asked", !failure.is_user()),
            SdkError::ConstructionFailure(_) => ("S3 cannot be asked so", false),
            SdkError::TimeoutError(_) => ("S3 did not answer in time", true),
            _ => ("S3's answer was not understood", true),
        };
        Self { message: message.to_owned(), retryable, kind: StoreErrorKind::Other, source: Some(Box::new(error)) }
    }
}

/// Whether a request was never sent because nobody knows who asks.
fn has_no_credentials(error: Option<&ConnectorError>) -> bool {
    let mut cause = error.map(|error| error as &dyn std::error::Error);
    while let Some(error) = cause {
        if error.to_string().contains("credential") {
            return true;
        }
        cause = error.source();
    }
    false
}
