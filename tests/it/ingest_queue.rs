//! The real binary behind a bucket's notifications and their queue, killed now and then.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::documents::{CREDENTIALS, World, output, paragraphs};
use crate::harness::bootstrap;
use crate::queue::Queue;
use crate::runtime_api::RuntimeApi;
use crate::s3_server::Bucket;

/// How long an answer may take on a machine that has much else to do.
const LONG: Duration = Duration::from_secs(900);

/// The real binary under a Runtime API; killed when dropped.
pub struct Function {
    pub api: RuntimeApi,
    pub process: Child,
}

impl Function {
    pub fn start(vectors: &Bucket, variables: &[(&str, &str)]) -> Self {
        let api = RuntimeApi::start();
        let mut command = bootstrap();
        command.env("AWS_LAMBDA_RUNTIME_API", &api.address).env("AWS_LAMBDA_FUNCTION_NAME", "f");
        command.env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST").env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769");
        command.env("EMBED_OUTPUT", output(vectors)).envs(CREDENTIALS);
        command.env("AWS_ENDPOINT_URL_S3", format!("http://{}", vectors.server)).envs(variables.iter().copied());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { api, process }
    }

    /// The function's answer.
    pub fn answer(&self, event: &Value) -> Value {
        self.api.send(event);
        let report = self.api.report(LONG).expect("an answer");
        assert_eq!(report.kind, "response", "{}", report.body);
        report.body
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The chunks' numbers of every document are whole and each is there once; their count.
fn whole(world: &World, key: &str) -> usize {
    let records = world.records(key);
    for (number, record) in records.iter().enumerate() {
        assert_eq!(record["chunk"], number, "{key}");
        assert_eq!(record["chunks"], records.len(), "{key}");
        assert_eq!(record["key"], key);
    }
    assert!(!records.is_empty(), "{key}");
    records.len()
}

#[test]
fn notifications_reach_the_function_through_their_queue() {
    needs!(s3);
    let (world, queue) = (World::new("notify", &[]), Queue::new("notify"));
    queue.hear_of(&world.documents);
    let keys = ["plain.txt", "a folder/with+plus & ümläut.txt", "日本/文書.txt"];
    for key in keys {
        world.put(key, format!("The document at {key}."));
    }
    let function = Function::start(&world.vectors, &[]);
    while let Some(event) = queue.receive() {
        queue.settle(&event, &function.answer(&event));
    }
    assert_eq!(queue.waiting(), 0);
    for key in keys {
        assert_eq!(whole(&world, key), 1);
    }
}

#[test]
fn a_function_that_is_killed_loses_doubles_and_halves_nothing() {
    needs!(s3);
    const DOCUMENTS: usize = 200;
    const KILLS: usize = 12;
    let (world, queue) = (World::new("killed", &[]), Queue::new("killed"));
    queue.hear_of(&world.documents);
    let key = |number: usize| format!("documents/{number}.txt");
    for number in 0..DOCUMENTS {
        // Up to 30 paragraphs, and now and then a document that is written in parts and with checkpoints.
        let count = if number % 50 == 7 { 2_000 } else { 1 + number % 30 };
        world.put(&key(number), paragraphs(count));
    }
    let mut random = fastrand::Rng::with_seed(200);
    // What an answer took, which says how soon a kill comes in the middle of one, on a machine of any speed.
    let mut answer_time = Duration::from_millis(200);
    let mut function = Function::start(&world.vectors, &[]);
    let (mut kills, deadline) = (0, Instant::now() + Duration::from_secs(240));
    while queue.waiting() > 0 {
        assert!(Instant::now() < deadline, "{} messages after {kills} kills", queue.waiting());
        let Some(event) = queue.receive() else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        function.api.send(&event);
        let patience = if kills < KILLS { answer_time.mul_f64(random.f64() * 1.5) } else { LONG };
        let asked = Instant::now();
        match function.api.report(patience) {
            Some(report) => {
                answer_time = asked.elapsed();
                queue.settle(&event, &report.body);
            }
            None => {
                // What it had was not acknowledged and shows again.
                kills += 1;
                function = Function::start(&world.vectors, &[]);
            }
        }
    }
    assert!(kills >= 3, "{kills} kills");
    for number in 0..DOCUMENTS {
        whole(&world, &key(number));
    }
    let strays: Vec<_> = world.vectors.keys().into_iter().filter(|key| !key.ends_with(".txt.jsonl")).collect();
    assert_eq!(strays, Vec::<String>::new());
    assert_eq!(world.vectors.keys().len(), DOCUMENTS);
}
