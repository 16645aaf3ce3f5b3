//! A real S3 server for the tests: moto, started once, with plain HTTP to set it up.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use crate::harness::{bootstrap, output, root};
use crate::serve::http;

/// The running server. It ends with this process, because its standard input does.
struct Server {
    address: String,
    _process: Child,
    _until_closed: ChildStdin,
}

/// The server's address; `None`, with a message, where it could not be installed.
pub fn address() -> Option<&'static str> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(start).as_ref().map(|server| server.address.as_str())
}

fn start() -> Option<Server> {
    let folder = root().join("target/s3-server");
    let python = folder.join("bin/python");
    if folder.join("unavailable").is_file() && !folder.join(".ready").is_file() {
        eprintln!("skipped: `make s3-server` could not install the S3 server");
        return None;
    }
    assert!(python.is_file(), "{} is missing; `make s3-server` brings it", python.display());
    let mut process = Command::new(python)
        .arg(root().join("tests/s3/serve.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains(':'), "the S3 server did not start: {line:?}");
    let until_closed = process.stdin.take().unwrap();
    Some(Server { address: line.trim().to_owned(), _process: process, _until_closed: until_closed })
}

/// The server wants to know who asks and believes it.
const OWNER: &str =
    "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";

/// A bucket of a test's own.
pub struct Bucket {
    pub server: &'static str,
    pub name: String,
}

impl Bucket {
    /// An empty bucket; `None`, with a message, where there is no server.
    pub fn new(test: &str) -> Option<Self> {
        Self::named(&format!("{test}-{}", std::process::id()))
    }

    /// One of this very name.
    pub fn named(name: &str) -> Option<Self> {
        let bucket = Self { server: address()?, name: name.to_owned() };
        assert_eq!(bucket.request("PUT", "", b"").0, 200);
        Some(bucket)
    }

    /// A bucket with `model` under `model/`, uploaded by the real binary.
    pub fn with_model(test: &str, model: &Path) -> Option<Self> {
        let bucket = Self::new(test)?;
        bucket.push(model);
        Some(bucket)
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

    /// The key of the object whose name ends so.
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
