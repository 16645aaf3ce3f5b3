//! The real binary as a function under the tests' Runtime API; its output is kept.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::harness::bootstrap;
use crate::support::runtime_api::{Delivery, Report, RuntimeApi};

/// A time limit that even a busy machine keeps; only a test that fails waits that long.
pub const LONG: Duration = Duration::from_secs(300);

/// The peak of resident memory of `process`, in megabytes.
pub fn peak(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// A function; killed when dropped.
pub struct Function {
    pub api: RuntimeApi,
    pub process: Child,
    output: PathBuf,
}

impl Function {
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let function = Self::starting(variables);
        assert!(function.api.ready(LONG), "{}", function.written());
        function
    }

    /// One whose init may fail.
    pub fn starting(variables: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let output = std::env::temp_dir().join(format!("lambda-embed-function-{}-{number}.log", std::process::id()));
        let api = RuntimeApi::start();
        let process = Self::command(&api, &output, variables).spawn().unwrap();
        Self { api, process, output }
    }

    fn command(api: &RuntimeApi, output: &PathBuf, variables: &[(&str, &str)]) -> Command {
        let file = std::fs::File::options().create(true).append(true).open(output).unwrap();
        let mut command = bootstrap();
        command.env("AWS_LAMBDA_RUNTIME_API", &api.address).env("AWS_LAMBDA_FUNCTION_NAME", "f");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "3538").env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        // cargo sets it for its tests; the binary has to set it itself.
        command.env_remove("ORT_DISABLE_TELEMETRY").envs(variables.iter().copied());
        command.stdout(file.try_clone().unwrap()).stderr(Stdio::from(file));
        command
    }

    /// Starts the binary again if it has ended, as Lambda does; returns whether it had.
    pub fn revive(&mut self, variables: &[(&str, &str)]) -> bool {
        if self.process.try_wait().unwrap().is_none() {
            return false;
        }
        self.process = Self::command(&self.api, &self.output, variables).spawn().unwrap();
        true
    }

    pub fn answer(&self, event: &Value) -> Report {
        self.answer_to(Delivery::of(event.to_string()))
    }

    /// The response to an event that must not fail.
    pub fn response(&self, event: &Value) -> Value {
        let report = self.answer(event);
        assert_eq!(report.kind, "response", "{}", report.body);
        report.body
    }

    pub fn answer_to(&self, delivery: Delivery) -> Report {
        let id = self.api.deliver(delivery);
        let report = self.api.report(LONG).unwrap_or_else(|| panic!("no report: {}", self.written()));
        assert_eq!(report.id, id);
        report
    }

    /// Everything it has written to standard output and standard error.
    pub fn written(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// The lines of one kind: those of metrics, or those with this message.
    pub fn lines(&self, message: &str) -> Vec<Value> {
        let lines: Vec<Value> = self.written().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let wanted = |line: &Value| match message {
            "_aws" => line.get("_aws").is_some(),
            message => line["message"] == message,
        };
        lines.into_iter().filter(wanted).collect()
    }

    /// Returns once the model's threads are at work: with a call's runs, because its start leaves them idle.
    pub fn wait_for_runs(&self) {
        let end = Instant::now() + LONG;
        // Hundredths of a second.
        while self.worked() < 3 {
            assert!(Instant::now() < end, "{}", self.written());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The processor time that the threads which run texts have used, in the kernel's ticks.
    fn worked(&self) -> u64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).unwrap();
        let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok());
        // `1234 (embed-0) R …`; the name may hold spaces, and the twelfth field after it is the time in user mode.
        let ticks = |stat: String| {
            let (name, fields) = stat.rsplit_once(") ")?;
            name.contains("(embed-").then(|| fields.split(' ').nth(11)?.parse::<u64>().ok())?
        };
        stats.filter_map(ticks).sum()
    }

    /// How it ended, if it does within `limit`.
    pub fn end(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            match self.process.try_wait().unwrap() {
                Some(status) => return Some(status),
                None if Instant::now() > end => return None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// A number of `/proc/<pid>/status`, in MB.
    pub fn memory(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.output);
    }
}
