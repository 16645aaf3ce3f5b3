//! Lambda's Runtime API on loopback: hands out events when a test sends them, keeps what is reported.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// One report of the function.
#[derive(Debug)]
pub struct Report {
    /// `response`, `error` or `init/error`.
    pub kind: &'static str,
    pub body: Value,
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
    events: VecDeque<String>,
    reports: VecDeque<Report>,
    ready: bool,
    handed_out: u32,
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
                std::thread::spawn(move || while shared.answer_one(&client).unwrap_or(false) {});
            }
        });
        Self { address, shared }
    }

    pub fn send(&self, event: &Value) {
        self.shared.state.lock().unwrap().events.push_back(event.to_string());
        self.shared.changed.notify_all();
    }

    /// Whether the function asks for an event within `limit`: its init is over then.
    pub fn ready(&self, limit: Duration) -> bool {
        self.wait(limit, |state| state.ready.then_some(())).is_some()
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

impl Shared {
    /// One request; whether the connection goes on.
    fn answer_one(&self, mut client: &TcpStream) -> std::io::Result<bool> {
        let mut reader = BufReader::new(client);
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(false);
        }
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let path = first.split(' ').nth(1).unwrap();
        if path.ends_with("/next") {
            let (number, event) = self.next_event();
            write!(
                client,
                "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: {number}\r\nlambda-runtime-deadline-ms: \
                 9999999999999\r\nlambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:1:function:f\r\n\
                 content-length: {}\r\n\r\n{event}",
                event.len()
            )?;
            return Ok(true);
        }
        let kind = ["init/error", "response", "error"].into_iter().find(|kind| path.ends_with(kind)).unwrap();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        self.state.lock().unwrap().reports.push_back(Report { kind, body });
        self.changed.notify_all();
        write!(client, "HTTP/1.1 202 Accepted\r\ncontent-length: 2\r\n\r\n{{}}")?;
        Ok(true)
    }

    fn next_event(&self) -> (u32, String) {
        let mut state = self.state.lock().unwrap();
        state.ready = true;
        self.changed.notify_all();
        loop {
            if let Some(event) = state.events.pop_front() {
                state.handed_out += 1;
                return (state.handed_out, event);
            }
            state = self.changed.wait(state).unwrap();
        }
    }
}
