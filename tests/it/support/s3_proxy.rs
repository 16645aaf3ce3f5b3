//! An HTTP proxy that breaks answers as a test plans it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// What happens to one answer. Offsets count the answer's body.
#[derive(Debug, Clone)]
pub enum Fault {
    None,
    /// The connection is reset after this many bytes of the body.
    Reset(u64),
    /// The connection is closed normally after this many bytes of the body.
    Cut(u64),
    /// The body ends after this many bytes, and the head states this length.
    Shortened(u64),
    /// One bit of this byte is flipped.
    Flip(u64),
    /// The server is not asked; this status and this S3 error code come at once, with a region if one is given.
    Refuse(u16, &'static str, Option<&'static str>),
    /// The server is not asked; this status comes at once, and the number of seconds to wait.
    Busy(u16, u64),
    /// Nothing comes for this long, then the normal answer.
    Late(Duration),
    /// The body comes in pieces of this many bytes, with this pause after each.
    Slow(usize, Duration),
}

/// A request, as far as a plan looks at it.
pub struct Seen<'a> {
    /// Counts from 0, over all connections.
    pub number: u64,
    pub method: &'a str,
    pub path: &'a str,
    /// The bytes it asks for; empty without a range.
    pub range: std::ops::Range<u64>,
}

/// A proxy on a free port; takes no more connections once dropped.
pub struct Proxy {
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    plan: Box<dyn Fn(&Seen<'_>) -> Fault + Send + Sync>,
    requests: AtomicU64,
    first: OnceLock<Instant>,
    transferred: AtomicU64,
    ended: AtomicBool,
}

impl Proxy {
    /// Stands before `upstream`; `plan` chooses every answer's fault.
    pub fn before(upstream: &str, plan: impl Fn(&Seen<'_>) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            plan: Box::new(plan),
            requests: AtomicU64::new(0),
            first: OnceLock::new(),
            transferred: AtomicU64::new(0),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (client, shared) = (client.unwrap(), Arc::clone(&accepting));
                // A client that goes away in between is the normal end of a connection here.
                std::thread::spawn(move || while shared.pass_one(&client).unwrap_or(false) {});
            }
        });
        Self { address, shared }
    }

    /// Body bytes that went through.
    pub fn transferred(&self) -> u64 {
        self.shared.transferred.load(Ordering::SeqCst)
    }

    /// The time since the first request came.
    pub fn since_first(&self) -> Duration {
        self.shared.first.get().expect("a request has come").elapsed()
    }

    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    /// One request and its answer; whether the connection goes on.
    fn pass_one(&self, client: &TcpStream) -> std::io::Result<bool> {
        let mut reader = BufReader::new(client);
        let Some(request) = head(&mut reader)? else { return Ok(false) };
        let mut body = vec![0; length(&request) as usize];
        reader.read_exact(&mut body)?;
        let (method, path) = request.split_once(' ').unwrap_or_default();
        let path = path.split(' ').next().unwrap_or_default();
        self.first.get_or_init(Instant::now);
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let fault = (self.plan)(&Seen { number, method, path, range: range(&request) });
        match fault {
            Fault::Refuse(status, code, region) => {
                let header = region.map_or(String::new(), |region| format!("x-amz-bucket-region: {region}\r\n"));
                return refuse(client, method, status, code, &header).map(|()| true);
            }
            Fault::Busy(status, seconds) => {
                return refuse(client, method, status, "SlowDown", &format!("retry-after: {seconds}\r\n"))
                    .map(|()| true);
            }
            Fault::Late(pause) => std::thread::sleep(pause),
            _ => {}
        }
        let mut upstream = TcpStream::connect(&self.upstream)?;
        let (first, rest) = request.split_once("\r\n").expect("a head");
        write!(upstream, "{first}\r\nconnection: close\r\n{rest}")?;
        upstream.write_all(&body)?;
        let mut upstream = BufReader::new(upstream);
        let Some(answer) = head(&mut upstream)? else { return Ok(false) };
        self.answer(client, &answer, &mut upstream, &fault)
    }

    fn answer(&self, mut client: &TcpStream, head: &str, body: &mut impl Read, fault: &Fault) -> std::io::Result<bool> {
        let length = length(head);
        let stop = match fault {
            Fault::Reset(at) | Fault::Cut(at) | Fault::Shortened(at) => length.min(*at),
            _ => length,
        };
        let told = if matches!(fault, Fault::Shortened(_)) { stop } else { length };
        for line in head.trim_end().lines() {
            let name = line.split(':').next().unwrap_or_default().to_lowercase();
            if !matches!(name.as_str(), "content-length" | "connection") {
                write!(client, "{line}\r\n")?;
            }
        }
        write!(client, "content-length: {told}\r\n\r\n")?;
        let (piece, pause) = match fault {
            Fault::Slow(piece, pause) => (*piece, *pause),
            _ => (64 * 1024, Duration::ZERO),
        };
        let (mut at, mut buffer) = (0, vec![0; piece]);
        while at < stop {
            let read = body.read(&mut buffer[..piece.min((stop - at) as usize)])?;
            if read == 0 {
                return Ok(false);
            }
            if let Fault::Flip(flipped) = fault
                && (at..at + read as u64).contains(flipped)
            {
                buffer[(flipped - at) as usize] ^= 1;
            }
            client.write_all(&buffer[..read])?;
            at += read as u64;
            self.transferred.fetch_add(read as u64, Ordering::SeqCst);
            std::thread::sleep(pause);
        }
        match fault {
            Fault::Reset(_) => {
                // Waits until the written bytes have arrived, because the reset discards bytes on their way.
                std::thread::sleep(Duration::from_millis(5));
                socket2::SockRef::from(client).set_linger(Some(Duration::ZERO))?;
                Ok(false)
            }
            Fault::Cut(_) => Ok(false),
            _ => Ok(true),
        }
    }
}

/// An error as S3 sends it, with one more line in its head.
fn refuse(mut client: &TcpStream, method: &str, status: u16, code: &str, header: &str) -> std::io::Result<()> {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as planned</Message></Error>");
    let length = body.len();
    // The answer to a HEAD has the length of a body, and none.
    let body = if method == "HEAD" { "" } else { &body };
    write!(
        client,
        "HTTP/1.1 {status} Planned\r\ncontent-type: application/xml\r\n{header}content-length: {length}\r\n\r\n{body}"
    )
}

/// A head with its empty line; `None` at the connection's end.
fn head(reader: &mut impl BufRead) -> std::io::Result<Option<String>> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
        .map(|(_, v)| v.trim())
}

fn length(head: &str) -> u64 {
    field(head, "content-length").and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn range(head: &str) -> std::ops::Range<u64> {
    let ends = field(head, "range").and_then(|value| value.strip_prefix("bytes=")?.split_once('-'));
    let ends = ends.and_then(|(first, last)| Some((first.parse::<u64>().ok()?, last.parse::<u64>().ok()?)));
    ends.map_or(0..0, |(first, last)| first..last + 1)
}
