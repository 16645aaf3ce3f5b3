//! Servers of the tests that are written in Python, each in an environment of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::harness::root;

/// A running server. It ends with this process, because its standard input does.
pub struct PythonServer {
    pub address: String,
    _process: Child,
    _until_closed: ChildStdin,
}

impl PythonServer {
    /// Starts `script` in the environment that `make <target>` leaves in `target/<target>`; `None`, with a message,
    /// where it could not be installed.
    pub fn start(target: &str, script: &str, arguments: &[&str]) -> Option<Self> {
        let folder = root().join("target").join(target);
        let python = folder.join("bin/python");
        if folder.join("unavailable").is_file() && !folder.join(".ready").is_file() {
            eprintln!("skipped: `make {target}` could not install its server");
            return None;
        }
        assert!(python.is_file(), "{} is missing; `make {target}` brings it", python.display());
        let mut process = Command::new(python)
            .arg(root().join(script))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains(':'), "{script} did not start: {line:?}");
        let until_closed = process.stdin.take().unwrap();
        Some(Self { address: line.trim().to_owned(), _process: process, _until_closed: until_closed })
    }
}
