//! Lambda's Runtime API on loopback: it hands out the tests' events, keeps the function's reports, and misbehaves if a
//! test asks for it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A deadline in the year 2286.
pub const FAR: u64 = 9_999_999_999_999;

/// One report of the function.
#[derive(Debug)]
pub struct Report {
    /// `response`, `error` or `init/error`.
    pub kind: &'static str,
    /// The call's; empty for `init/error`.
    pub id: String,
    /// The request's line and headers, as they came.
    pub head: String,
    /// The request's body, its chunks joined.
    pub bytes: Vec<u8>,
    /// The same as JSON; `null` if it is none.
    pub body: Value,
}

/// How the API hands an event out, or takes its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Plain,
    /// The event's second half comes after a pause.
    Slow(Duration),
    /// The connection ends before the event, which the next request gets.
    Drop,
    /// The connection ends within the event.
    Cut,
    /// 500 in place of the event; the documentation tells a runtime to exit then.
    Refuse,
    /// A header that Lambda always sends is missing.
    Without(&'static str),
    /// The report is taken; the connection ends before the receipt.
    LoseReceipt,
    /// The report is taken and answered with 500.
    RefuseReport,
}

/// An event and what goes with it.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub event: String,
    pub manner: Manner,
    /// Milliseconds since 1970.
    pub deadline: u64,
    pub trace: Option<&'static str>,
}

impl Delivery {
    pub fn of(event: impl Into<String>) -> Self {
        Self { event: event.into(), manner: Manner::Plain, deadline: FAR, trace: None }
    }

    pub fn in_manner(self, manner: Manner) -> Self {
        Self { manner, ..self }
    }

    /// With a deadline `left` from now on; the past for `None`.
    pub fn with_time(self, left: Option<Duration>) -> Self {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let deadline = left.map_or(now - Duration::from_secs(60), |left| now + left);
        Self { deadline: deadline.as_millis() as u64, ..self }
    }
}

/// A running Runtime API; its threads end with the connections to it.
pub struct RuntimeApi {
    pub address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<(u32, Delivery)>,
    reports: VecDeque<Report>,
    /// Manners of reports by their call's number, until they are used up.
    receipts: Vec<(u32, Manner)>,
    ready: bool,
    sent: u32,
    asking: usize,
}

impl RuntimeApi {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, shared) = (client.unwrap(), Arc::clone(&serving));
                // A head and its body are two packets; the second does not wait for the first one's receipt.
                client.set_nodelay(true).unwrap();
                std::thread::spawn(move || while shared.answer_one(&client).unwrap_or(false) {});
            }
        });
        Self { address, shared }
    }

    pub fn send(&self, event: &Value) -> String {
        self.deliver(Delivery::of(event.to_string()))
    }

    /// Hands the event out when the function asks; its request id.
    pub fn deliver(&self, delivery: Delivery) -> String {
        let mut state = self.shared.state.lock().unwrap();
        state.sent += 1;
        let number = state.sent;
        state.events.push_back((number, delivery));
        self.shared.changed.notify_all();
        number.to_string()
    }

    /// Whether the function asks for an event within `limit`: its init is over then.
    pub fn ready(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.ready.then_some(())).is_some()
    }

    /// Whether `count` requests for an event wait at once within `limit`.
    pub fn asked_by(&self, count: usize, limit: Duration) -> bool {
        self.wait(limit, |state| (state.asking >= count).then_some(())).is_some()
    }

    /// The next report, if it comes within `limit`.
    pub fn report(&self, limit: Duration) -> Option<Report> {
        self.wait(limit, |state| state.reports.pop_front())
    }

    fn wait<T>(&self, limit: Duration, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + limit;
        let mut state = self.shared.state.lock().unwrap();
        loop {
            if let Some(taken) = take(&mut state) {
                return Some(taken);
            }
            let left = end.checked_duration_since(Instant::now())?;
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
    }
}

/// A body in chunks, to its end.
fn read_chunks(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
        let start = body.len();
        body.resize(start + size, 0);
        reader.read_exact(&mut body[start..])?;
        // Behind a chunk, and behind the last one where trailers might be.
        let mut end = String::new();
        reader.read_line(&mut end)?;
        assert_eq!(end, "\r\n", "a chunk of {size} bytes ends elsewhere");
        if size == 0 {
            return Ok(body);
        }
    }
}

impl Shared {
    /// One request; whether the connection goes on.
    fn answer_one(&self, client: &TcpStream) -> std::io::Result<bool> {
        let mut reader = BufReader::new(client);
        let (mut head, mut length, mut chunked) = (String::new(), 0, false);
        if reader.read_line(&mut head)? == 0 {
            return Ok(false);
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line == "\r\n" {
                break;
            }
            let lower = line.to_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            chunked |= lower.starts_with("transfer-encoding:") && lower.contains("chunked");
            head += &line;
        }
        let mut body = vec![0; length];
        match chunked {
            true => body = read_chunks(&mut reader)?,
            false => reader.read_exact(&mut body)?,
        }
        let path = head.split(' ').nth(1).unwrap();
        if path.ends_with("/next") {
            return self.hand_out(client);
        }
        let kind = ["init/error", "response", "error"].into_iter().find(|kind| path.ends_with(kind)).unwrap();
        let id = path.split("/invocation/").nth(1).and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let body_json = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let report = Report { kind, id: id.to_owned(), head: head.clone(), bytes: body, body: body_json };
        self.take_report(client, report)
    }

    fn hand_out(&self, mut client: &TcpStream) -> std::io::Result<bool> {
        let (number, delivery) = self.next_event();
        let Delivery { event, manner, deadline, trace } = &delivery;
        let again = || {
            // Lambda hands an event out again that no runtime has taken.
            let plain = Delivery { manner: Manner::Plain, ..delivery.clone() };
            self.state.lock().unwrap().events.push_front((number, plain));
            self.changed.notify_all();
        };
        let mut head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", event.len());
        let id = number.to_string();
        let deadline = deadline.to_string();
        let trace = trace.unwrap_or_default();
        for (name, value) in [
            ("lambda-runtime-aws-request-id", id.as_str()),
            ("lambda-runtime-deadline-ms", deadline.as_str()),
            ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:1:function:f"),
            ("lambda-runtime-trace-id", trace),
        ] {
            if *manner != Manner::Without(name) && !value.is_empty() {
                head += &format!("{name}: {value}\r\n");
            }
        }
        let (first, second) = event.as_bytes().split_at(event.len() / 2);
        match *manner {
            Manner::Drop => {
                again();
                return Ok(false);
            }
            Manner::Refuse => {
                again();
                write!(client, "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")?;
                return Ok(true);
            }
            Manner::Cut => {
                again();
                write!(client, "{head}\r\n")?;
                client.write_all(first)?;
                return Ok(false);
            }
            Manner::Slow(pause) => {
                write!(client, "{head}\r\n")?;
                client.write_all(first)?;
                std::thread::sleep(pause);
                client.write_all(second)?;
            }
            Manner::LoseReceipt | Manner::RefuseReport => {
                self.state.lock().unwrap().receipts.push((number, *manner));
                write!(client, "{head}\r\n{event}")?;
            }
            Manner::Plain | Manner::Without(_) => write!(client, "{head}\r\n{event}")?,
        }
        Ok(true)
    }

    fn take_report(&self, mut client: &TcpStream, report: Report) -> std::io::Result<bool> {
        let mut state = self.state.lock().unwrap();
        let place = state.receipts.iter().position(|(number, _)| number.to_string() == report.id);
        state.reports.push_back(report);
        let manner = place.map(|place| state.receipts.remove(place).1);
        drop(state);
        self.changed.notify_all();
        match manner {
            Some(Manner::LoseReceipt) => return Ok(false),
            Some(_) => write!(client, "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")?,
            None => write!(client, "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{{}}")?,
        }
        Ok(true)
    }

    fn next_event(&self) -> (u32, Delivery) {
        let mut state = self.state.lock().unwrap();
        (state.ready, state.asking) = (true, state.asking + 1);
        self.changed.notify_all();
        loop {
            if let Some(event) = state.events.pop_front() {
                state.asking -= 1;
                return event;
            }
            state = self.changed.wait(state).unwrap();
        }
    }
}
