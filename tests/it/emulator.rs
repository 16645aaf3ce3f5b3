//! The function as Lambda runs it: the real binary behind AWS's Runtime Interface Emulator.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::harness::{Answer, FolderCopy, embed, fixture_handler, library, root, vectors};
use crate::support::parts;
use crate::support::server::http;

/// A running emulator over a folder with the layout of an unpacked package; ended when dropped.
struct Emulator {
    process: Child,
    address: String,
    folder: FolderCopy,
}

impl Emulator {
    fn start(test: &str) -> Self {
        parts::assert_present("emulator");
        let binary = root().join("target/emulator/aws-lambda-rie");
        let folder = FolderCopy::of_fixture(test);
        let model = folder.0.join("model");
        std::fs::create_dir_all(&model).unwrap();
        for file in ["manifest.json", "model.ort", "tokenizer.json"] {
            std::fs::rename(folder.0.join(file), model.join(file)).unwrap();
        }
        std::fs::copy(env!("CARGO_BIN_EXE_bootstrap"), folder.0.join("bootstrap")).unwrap();
        symlink(library().parent().unwrap(), folder.0.join("lib")).unwrap();
        let [address, runtime_api] = [free_address(), free_address()];
        let process = Command::new(binary)
            .args([
                "--runtime-interface-emulator-address",
                &address,
                "--runtime-api-address",
                &runtime_api,
                "./bootstrap",
            ])
            .current_dir(&folder.0)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_FUNCTION_NAME", "lambda-embed"),
                ("AWS_LAMBDA_FUNCTION_TIMEOUT", "30"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_FUNCTION_HANDLER", "bootstrap"),
                ("AWS_REGION", "us-east-1"),
                ("LAMBDA_TASK_ROOT", folder.0.to_str().unwrap()),
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let emulator = Self { process, address, folder };
        let deadline = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(&emulator.address).is_err() {
            assert!(Instant::now() < deadline, "the emulator does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
        emulator
    }

    fn invoke(&self, event: &str) -> Value {
        let path = "/2015-03-31/functions/function/invocations";
        let (_, _, body) = http(&self.address, "POST", path, &[], event.as_bytes());
        serde_json::from_slice(&body).unwrap()
    }

    /// Processes that run this folder's binary.
    fn bootstraps(&self) -> BTreeSet<String> {
        let ours = |process: &Path| {
            std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe == self.folder.0.join("bootstrap"))
        };
        let processes = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        processes.filter(|process| ours(process)).map(|process| process.display().to_string()).collect()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // On SIGTERM the emulator also ends its function; std can only send SIGKILL.
        let _ = Command::new("kill").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn one_process_answers_every_call() {
    needs!(emulator);
    let emulator = Emulator::start("spine");
    let event = std::fs::read_to_string(root().join("events/http-embed.json")).unwrap();
    let first = Answer::of(&emulator.invoke(&event));
    assert_eq!(first.status, 200);
    let process = emulator.bootstraps();
    assert_eq!(process.len(), 1);
    for _ in 1..10 {
        assert_eq!(Answer::of(&emulator.invoke(&event)).json(), first.json());
    }
    assert_eq!(emulator.bootstraps(), process);
}

#[test]
fn a_failed_invocation_is_reported_and_the_next_one_answered() {
    needs!(emulator);
    let emulator = Emulator::start("failed-call");
    let error = emulator.invoke("{\"who\": \"knows\"}");
    assert_eq!(error["errorType"], "Event.Unknown");
    assert!(error["errorMessage"].as_str().unwrap().contains("Lambda Function URL"), "{error}");
    let reply = emulator.invoke("{\"inputs\": \"hello\"}");
    assert_eq!(vectors(&reply["embeddings"]), embed(&fixture_handler(), &["hello"]));
}

#[test]
fn a_failed_init_reports_its_cause() {
    needs!(emulator);
    let emulator = Emulator::start("failed-init");
    let model: PathBuf = emulator.folder.0.join("model/model.ort");
    std::fs::write(&model, b"nothing of use").unwrap();
    let error = emulator.invoke("{\"inputs\": \"hello\"}");
    assert_eq!(error["errorType"], "Init.Setup", "{error}");
    assert!(error["errorMessage"].as_str().unwrap().contains("model.ort"), "{error}");
}
