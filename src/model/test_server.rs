//! A small S3 for tests: GET of whole objects and of ranges over HTTP on the loopback interface, failing as planned.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::manifest::hex;
use crate::aws::{self, Attempts, Bucket};
use crate::config::{AccessKeys, Aws, Secret};

/// Bytes of an answer that breaks off, at most; at least half of it comes.
const PIECE: usize = 300_000;

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// 503 before any byte.
    Retryable,
    /// 403 before any byte.
    Permanent,
    /// The connection closes before the announced length.
    Reset,
    /// The announced length is shorter than the range.
    Truncated,
    /// One bit of the first byte is another.
    Flipped,
    /// No answer.
    Silence,
    /// One byte more than asked for.
    Longer,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    pub key: String,
    pub version: Option<String>,
    pub range: Option<Range<u64>>,
}

pub struct TestServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Which fault a request meets, by its number and its path.
type Plan = dyn Fn(usize, &str) -> Fault + Send + Sync;

struct Shared {
    objects: HashMap<String, Vec<u8>>,
    plan: Box<Plan>,
    number: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    stopped: std::sync::atomic::AtomicBool,
}

impl TestServer {
    /// Serves `objects` of the bucket `bucket`; `plan` is given each request's number and key.
    pub fn start(
        objects: HashMap<String, Vec<u8>>,
        plan: impl Fn(usize, &str) -> Fault + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            objects,
            plan: Box::new(plan),
            number: AtomicUsize::new(0),
            requests: Mutex::default(),
            stopped: false.into(),
        });
        let server = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            for client in listener.incoming() {
                if server.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let server = Arc::clone(&server);
                // A client that went away is no fault of the server.
                std::thread::spawn(move || client.and_then(|client| server.answer(client)));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    pub async fn bucket(&self) -> Bucket {
        let keys = AccessKeys { id: "id".to_owned(), secret: Secret::new("key"), session_token: None };
        let endpoint = Some(format!("http://{}", self.address));
        let aws = Aws {
            region: Some("us-east-1".to_owned()),
            endpoint,
            vectors_endpoint: None,
            keys: Some(keys),
            requester_pays: false,
        };
        aws::connect(&aws, Attempts::Once).await.bucket("bucket")
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

impl Shared {
    fn answer(&self, mut client: TcpStream) -> std::io::Result<()> {
        let Some(request) = read_request(&client)? else { return Ok(()) };
        let fault = (self.plan)(self.number.fetch_add(1, Ordering::SeqCst), &request.key);
        self.requests.lock().unwrap().push(request.clone());
        let error = |code| format!("<Error><Code>{code}</Code></Error>");
        match (fault, self.objects.get(&request.key)) {
            // Until the client gives up.
            (Fault::Silence, _) => client.read(&mut [0]).map(drop),
            (Fault::Retryable, _) => respond(&mut client, "503 Slow Down", "", error("SlowDown").as_bytes()),
            (Fault::Permanent, _) => respond(&mut client, "403 Forbidden", "", error("AccessDenied").as_bytes()),
            (_, None) => respond(&mut client, "404 Not Found", "", error("NoSuchKey").as_bytes()),
            (_, Some(object)) => send(&mut client, &request, object, fault),
        }
    }
}

fn send(client: &mut TcpStream, request: &Request, object: &[u8], fault: Fault) -> std::io::Result<()> {
    let range = request.range.clone().unwrap_or(0..object.len() as u64);
    let mut bytes = object[range.start as usize..range.end as usize].to_vec();
    let hash = format!("x-amz-meta-sha256: {}\r\n", hex(&Sha256::digest(object)));
    let (status, headers) = match &request.range {
        None => ("200 OK", hash),
        Some(range) => {
            let place = format!("{}-{}/{}", range.start, range.end - 1, object.len());
            ("206 Partial Content", format!("{hash}content-range: bytes {place}\r\n"))
        }
    };
    let piece = bytes.len().div_ceil(2).min(PIECE);
    match fault {
        Fault::Flipped => bytes[0] ^= 1,
        Fault::Longer => bytes.push(0),
        Fault::Truncated if request.range.is_some() => bytes.truncate(piece),
        Fault::Reset | Fault::Truncated => {
            write!(client, "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", bytes.len())?;
            return client.write_all(&bytes[..piece]);
        }
        _ => {}
    }
    respond(client, status, &headers, &bytes)
}

fn respond(client: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> std::io::Result<()> {
    write!(client, "HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n", body.len())?;
    client.write_all(body)
}

/// `None` where the client closed without a request.
fn read_request(client: &TcpStream) -> std::io::Result<Option<Request>> {
    let mut lines = BufReader::new(client).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let target = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let version = query.split('&').find_map(|pair| pair.strip_prefix("versionId=")).map(str::to_owned);
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some((start, end)) = line.strip_prefix("range: bytes=").and_then(|range| range.split_once('-')) {
            range = Some(start.parse().unwrap()..end.parse::<u64>().unwrap() + 1);
        }
    }
    Ok(Some(Request { key: path.trim_start_matches("/bucket/").to_owned(), version, range }))
}
