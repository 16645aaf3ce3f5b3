//! A real S3 server for the tests: moto, started once, with plain HTTP to set it up.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::harness::{bootstrap, output};
use crate::support::python_server::PythonServer;
use crate::support::server::http;

/// The server's address.
pub fn address() -> &'static str {
    static SERVER: OnceLock<PythonServer> = OnceLock::new();
    &SERVER.get_or_init(|| PythonServer::start("s3", "tests/s3/serve.py", &[])).address
}

/// The server needs some credentials and accepts any.
const OWNER: &str =
    "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A bucket of a test's own.
#[derive(Clone)]
pub struct Bucket {
    pub server: &'static str,
    pub name: String,
}

impl Bucket {
    /// An empty bucket.
    pub fn new(test: &str) -> Self {
        Self::named(&format!("{test}-{}", std::process::id()))
    }

    /// One of this very name.
    pub fn named(name: &str) -> Self {
        let bucket = Self { server: address(), name: name.to_owned() };
        assert_eq!(bucket.request("PUT", "", b"").0, 200);
        bucket
    }

    /// A bucket with `model` under `model/`, uploaded by the real binary.
    pub fn with_model(test: &str, model: &Path) -> Self {
        let bucket = Self::new(test);
        bucket.push(model);
        bucket
    }

    /// Uploads a folder to `model/`; what was printed.
    pub fn push(&self, model: &Path) -> String {
        let mut command = self.command(self.server);
        command.env_remove("EMBED_MODEL_S3").arg("push-model").arg(model).arg("--to").arg(self.url());
        let (succeeded, printed, error) = output(&mut command);
        assert!(succeeded, "{error}");
        printed
    }

    pub fn url(&self) -> String {
        format!("s3://{}/model", self.name)
    }

    /// A request to the server itself, in the name of the objects' owner; `key` may carry a query.
    pub fn request(&self, method: &str, key: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
        http(self.server, method, &format!("/{}/{key}", self.name), &[("authorization", OWNER)], body)
    }

    /// Puts an object; its ETag.
    pub fn put(&self, key: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
        let headers = [&[("authorization", OWNER)], headers].concat();
        let (status, head, _) = http(self.server, "PUT", &self.path(key), &headers, body);
        assert_eq!(status, 200, "{key}: {head}");
        head.split("etag: \"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    }

    /// An object's bytes; `None` where there is none.
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        let (status, _, body) = http(self.server, "GET", &self.path(key), &[("authorization", OWNER)], b"");
        (status == 200).then_some(body)
    }

    pub fn delete(&self, key: &str) {
        let (status, head, _) = http(self.server, "DELETE", &self.path(key), &[("authorization", OWNER)], b"");
        assert_eq!(status, 204, "{key}: {head}");
    }

    /// The head of an object, in lower case; `None` where there is none.
    pub fn head(&self, key: &str) -> Option<String> {
        let (status, head, _) = http(self.server, "HEAD", &self.path(key), &[("authorization", OWNER)], b"");
        (status == 200).then_some(head)
    }

    /// The key as it stands in a URL.
    fn path(&self, key: &str) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
        let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        format!("/{}/{}", self.name, key.bytes().map(encode).collect::<String>())
    }

    /// Every key there is.
    pub fn keys(&self) -> Vec<String> {
        let (_, _, listing) = self.request("GET", "?list-type=2&encoding-type=url", b"");
        let listing = String::from_utf8(listing).unwrap();
        listing.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
    }

    /// The key of the object with this ending.
    pub fn key(&self, end: &str) -> String {
        let (_, _, listing) = self.request("GET", "?list-type=2", b"");
        let listing = String::from_utf8(listing).unwrap();
        let keys = listing.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap());
        keys.into_iter().find(|key| key.ends_with(end)).unwrap_or_else(|| panic!("{end}: {listing}")).to_owned()
    }

    /// The real binary, with its model in this bucket and S3 at `endpoint`.
    pub fn command(&self, endpoint: &str) -> Command {
        let mut command = bootstrap();
        command.env_remove("EMBED_MODEL_DIR").env("EMBED_MODEL_S3", self.url());
        command.env("AWS_ENDPOINT_URL_S3", format!("http://{endpoint}")).env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    }
}
