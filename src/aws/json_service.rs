//! A signed request to a service of AWS that speaks JSON, for the one operation that is called of each of two services.
//!
//! Their SDKs have 170 operations and took a twentieth of the build. Credentials, region and addresses are the SDK's: they
//! come from the same variables, profiles and roles. Protocol: "AWS JSON 1.1" of the Smithy specification.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_types::service_config::ServiceConfigKey;
use http::header;
use http_body_util::BodyExt;
use serde_json::Value;

use super::http_client::connector;
use super::{Retry, RetryPolicy};
use crate::error::StoreError;

/// A start has 10 seconds. What refuses connections is given up soon; what is silent may be slow.
const RETRY_POLICY: RetryPolicy = RetryPolicy {
    response_timeout: Duration::from_millis(3500),
    give_up_after: Duration::from_secs(3),
    first_delay: Duration::from_millis(100),
    max_delay: Duration::from_secs(1),
};

/// One of AWS's services.
pub struct JsonService {
    /// Its name in AWS's documentation, and in the names of variables: `AWS_ENDPOINT_URL_SECRETS_MANAGER`.
    id: &'static str,
    /// The first part of its host name, which is also the name it is signed for.
    host: &'static str,
    /// What stands before an operation's name in `X-Amz-Target`.
    target: &'static str,
}

pub const SECRETS_MANAGER: JsonService =
    JsonService { id: "Secrets Manager", host: "secretsmanager", target: "secretsmanager" };

/// Systems Manager, of which Parameter Store is a part.
pub const SYSTEMS_MANAGER: JsonService = JsonService { id: "SSM", host: "ssm", target: "AmazonSSM" };

/// What every attempt at a request shares.
struct Request<'a> {
    credentials: Credentials,
    region: &'a str,
    /// Without a slash at its end.
    endpoint: String,
    operation: String,
    body: Vec<u8>,
}

impl JsonService {
    /// The answer to `operation` with the parameters `input`.
    ///
    /// # Errors
    /// Why the service could not be asked, or its error's code and message.
    pub async fn ask(&self, config: &SdkConfig, operation: &str, input: &Value) -> Result<Value, StoreError> {
        let no_credentials = || StoreError::permanent("no credentials were found");
        let provider = config.credentials_provider().ok_or_else(no_credentials)?;
        let credentials = provider.provide_credentials().await.map_err(|e| no_credentials().with_source(e))?;
        let region = config.region().ok_or_else(|| StoreError::permanent("no region is known; set AWS_REGION"))?;
        let request = Request {
            credentials,
            region: region.as_ref(),
            endpoint: self.endpoint(config, region.as_ref()),
            operation: format!("{}.{operation}", self.target),
            body: input.to_string().into_bytes(),
        };
        let connector = connector(&request.endpoint, ProxyConfig::from_env());
        let (retry, silence) = (Retry::new(RETRY_POLICY), format!("{} did not answer", self.id));
        retry.run(|| retry.in_time(&silence, self.once(&connector, &request))).await
    }

    async fn once(&self, connector: &Connector, request: &Request<'_>) -> Result<Value, StoreError> {
        let signed = self.signed(request).map_err(|e| {
            StoreError::permanent(format!("{} at {} cannot be asked so", self.id, request.endpoint)).with_source(e)
        })?;
        let response = connector.call(signed).await.map_err(|error| {
            let message = format!("{} at {} could not be asked", self.id, request.endpoint);
            StoreError { retryable: !error.is_user(), ..StoreError::retryable(message) }.with_source(error)
        })?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await;
        let body = body.map_err(|e| StoreError::retryable(format!("{}'s answer broke off", self.id)).with_source(e))?;
        let answer: Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
        match status {
            200 => Ok(answer),
            _ => Err(self.refusal(status, &answer)),
        }
    }

    fn signed(&self, request: &Request<'_>) -> Result<HttpRequest, Box<dyn std::error::Error + Send + Sync>> {
        let url = format!("{}/", request.endpoint);
        let unsigned = http::Request::post(&url)
            .header(header::CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", &request.operation);
        let mut unsigned = unsigned.body(SdkBody::from(request.body.as_slice()))?;
        let identity = request.credentials.clone().into();
        let parameters = v4::SigningParams::builder().identity(&identity).region(request.region).name(self.host);
        let parameters = parameters.time(SystemTime::now()).settings(SigningSettings::default()).build()?.into();
        let headers = unsigned.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new("POST", &url, headers, SignableBody::Bytes(&request.body))?;
        let (signature, _) = sign(signable, &parameters)?.into_parts();
        signature.apply_to_request_http1x(&mut unsigned);
        Ok(HttpRequest::try_from(unsigned)?)
    }

    /// The error that the service answered with. Its code is the last part of `com.amazonaws.ssm#ParameterNotFound`.
    fn refusal(&self, status: u16, answer: &Value) -> StoreError {
        let field = |name: &str| answer[name].as_str().unwrap_or_default();
        let code = field("__type").rsplit('#').next().unwrap_or_default();
        let message = [field("message"), field("Message")].concat();
        let busy = status >= 500 || status == 429 || code.contains("Throttl") || code == "RequestLimitExceeded";
        let said = format!("{} answered {status} {code} {message}", self.id);
        StoreError { retryable: busy, ..StoreError::permanent(said.trim_end()) }
    }

    /// The service's address without a slash at its end: a configured one, or AWS's own in `region`.
    fn endpoint(&self, config: &SdkConfig, region: &str) -> String {
        let key = ServiceConfigKey::builder().service_id(self.id).env("AWS_ENDPOINT_URL").profile("endpoint_url");
        let of_service = config.service_config().zip(key.build().ok()).and_then(|(found, key)| found.load_config(key));
        if let Some(url) = of_service.as_deref().or(config.endpoint_url()) {
            return url.trim_end_matches('/').to_owned();
        }
        let (suffix, dual_stack_suffix) = suffixes(region);
        let suffix = if config.use_dual_stack() == Some(true) { dual_stack_suffix } else { suffix };
        // Systems Manager's plain name in GovCloud is FIPS's already.
        let is_plain_fips = self.host == "ssm" && region.starts_with("us-gov-") && suffix == "amazonaws.com";
        let fips = if config.use_fips() == Some(true) && !is_plain_fips { "-fips" } else { "" };
        format!("https://{}{fips}.{region}.{suffix}", self.host)
    }
}

/// What host names end in, for IPv4 alone and for IPv4 and IPv6, in the partition of `region` (partitions.json of AWS's
/// SDKs).
fn suffixes(region: &str) -> (&'static str, &'static str) {
    const PARTITIONS: [(&str, &str, &str); 6] = [
        ("cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
        ("eusc-", "amazonaws.eu", "api.amazonwebservices.eu"),
        ("us-iso-", "c2s.ic.gov", "api.aws.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov", "api.aws.scloud"),
        ("us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    ];
    let found = PARTITIONS.iter().find(|(prefix, ..)| region.starts_with(prefix));
    found.map_or(("amazonaws.com", "api.aws"), |(_, suffix, dual_stack)| (suffix, dual_stack))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use aws_config::Region;
    use aws_credential_types::provider::SharedCredentialsProvider;
    use serde_json::json;

    use super::*;

    fn config(region: &str) -> aws_types::sdk_config::Builder {
        let credentials = Credentials::new("id", "key", Some("session".to_owned()), None, "test");
        let credentials = SharedCredentialsProvider::new(credentials);
        SdkConfig::builder().region(Region::new(region.to_owned())).credentials_provider(credentials)
    }

    /// What a server that gives these answers, each on a connection of its own, was asked, and what came of it.
    fn ask(answers: &[(u16, Value)]) -> (Vec<String>, Result<Value, StoreError>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let answers = answers.to_vec();
        let server = std::thread::spawn(move || {
            let serve = |(status, body): &(u16, Value)| {
                let (mut client, _) = listener.accept().unwrap();
                let (mut request, mut buffer) = (String::new(), [0; 4096]);
                while !request.ends_with('}') {
                    let length = client.read(&mut buffer).unwrap();
                    request.push_str(&String::from_utf8_lossy(&buffer[..length]));
                }
                let (body, end) = (body.to_string(), "connection: close\r\ncontent-length");
                write!(client, "HTTP/1.1 {status} Any\r\n{end}: {}\r\n\r\n{body}", body.len()).unwrap();
                request
            };
            answers.iter().map(serve).collect()
        });
        let config = config("eu-north-1").endpoint_url(endpoint).build();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(SYSTEMS_MANAGER.ask(&config, "GetParameter", &json!({"Name": "/a"})));
        (server.join().unwrap(), answer)
    }

    #[test]
    fn a_request_is_signed_and_its_answer_is_json() {
        let (requests, answer) = ask(&[(200, json!({"Parameter": {"Value": "v"}}))]);
        assert_eq!(answer.unwrap()["Parameter"]["Value"], "v");
        let request = requests[0].to_lowercase();
        assert!(
            request.starts_with("post / http/1.1\r\n") && request.ends_with("\r\n\r\n{\"name\":\"/a\"}"),
            "{request}"
        );
        for part in [
            "x-amz-target: amazonssm.getparameter\r\n",
            "content-type: application/x-amz-json-1.1\r\n",
            "x-amz-security-token: session\r\n",
            "authorization: aws4-hmac-sha256 credential=id/",
            "/eu-north-1/ssm/aws4_request, signedheaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, ",
        ] {
            assert!(request.contains(part), "{part} is not in {request}");
        }
    }

    #[test]
    fn a_busy_service_is_asked_again_and_a_refusal_is_final() {
        let throttled = (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"}));
        let refusal = json!({"__type": "com.amazonaws.ssm#AccessDeniedException", "Message": "User: a is not allowed"});
        let (requests, answer) = ask(&[(500, Value::Null), throttled, (400, refusal)]);
        assert_eq!(requests.len(), 3);
        let error = answer.unwrap_err();
        assert!(!error.retryable);
        assert_eq!(error.message, "SSM answered 400 AccessDeniedException User: a is not allowed");
    }

    #[test]
    fn every_partition_and_kind_of_endpoint_has_its_address() {
        let of = |service: &JsonService, region, fips, dual_stack| {
            let config = config(region).use_fips(fips).use_dual_stack(dual_stack).build();
            service.endpoint(&config, region)
        };
        for (region, fips, dual_stack, address) in [
            ("eu-north-1", false, false, "https://ssm.eu-north-1.amazonaws.com"),
            ("us-east-2", true, false, "https://ssm-fips.us-east-2.amazonaws.com"),
            ("us-east-1", true, true, "https://ssm-fips.us-east-1.api.aws"),
            ("cn-north-1", false, false, "https://ssm.cn-north-1.amazonaws.com.cn"),
            ("cn-north-1", true, true, "https://ssm-fips.cn-north-1.api.amazonwebservices.com.cn"),
            ("us-gov-east-1", true, false, "https://ssm.us-gov-east-1.amazonaws.com"),
            ("us-gov-east-1", true, true, "https://ssm-fips.us-gov-east-1.api.aws"),
            ("us-iso-east-1", false, false, "https://ssm.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", true, false, "https://ssm-fips.us-isob-east-1.sc2s.sgov.gov"),
        ] {
            assert_eq!(of(&SYSTEMS_MANAGER, region, fips, dual_stack), address);
        }
        let secrets = of(&SECRETS_MANAGER, "us-gov-west-1", true, false);
        assert_eq!(secrets, "https://secretsmanager-fips.us-gov-west-1.amazonaws.com");
    }
}
