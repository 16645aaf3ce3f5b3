//! The real binary behind a bucket's notifications and their queue, killed now and then.

use crate::support::pipeline::{Pipeline, document_function, paragraphs, stated_chunks};
use crate::support::queue::Queue;

/// The chunks' numbers of every document are whole and each is there once; their count.
fn whole(pipeline: &Pipeline, key: &str) -> usize {
    let records = pipeline.records(key);
    for (number, record) in records.iter().enumerate() {
        assert_eq!(record["chunk"], number, "{key}");
        assert_eq!(record["chunks"], stated_chunks(records.len()), "{key}");
        assert_eq!(record["key"], key);
    }
    assert!(!records.is_empty(), "{key}");
    assert_eq!(pipeline.committed_chunks(key), Some(records.len()), "{key}");
    records.len()
}

#[test]
fn notifications_reach_the_function_through_their_queue() {
    needs!(s3);
    let (pipeline, queue) = (Pipeline::new("notify", &[]), Queue::new("notify"));
    queue.hear_of(&pipeline.documents);
    let keys = ["plain.txt", "a folder/with+plus & ümläut.txt", "日本/文書.txt"];
    for key in keys {
        pipeline.put(key, format!("The document at {key}."));
    }
    let function = document_function(&pipeline.vectors, pipeline.vectors.server, &[]);
    while let Some(event) = queue.receive() {
        queue.settle(&event, &function.response(&event));
    }
    assert_eq!(queue.waiting(), 0);
    for key in keys {
        assert_eq!(whole(&pipeline, key), 1);
    }
}

#[test]
fn a_function_that_is_killed_loses_doubles_and_halves_nothing() {
    needs!(s3);
    const DOCUMENTS: usize = 200;
    const KILLS: usize = 12;
    let (pipeline, queue) = (Pipeline::new("killed", &[]), Queue::new("killed"));
    queue.hear_of(&pipeline.documents);
    let key = |number: usize| format!("documents/{number}.txt");
    for number in 0..DOCUMENTS {
        // Up to 30 paragraphs, and now and then a document that is written in parts and with checkpoints.
        let count = if number % 50 == 7 { 2_000 } else { 1 + number % 30 };
        pipeline.put(&key(number), paragraphs(count));
    }
    let mut random = fastrand::Rng::with_seed(200);
    let start = || document_function(&pipeline.vectors, pipeline.vectors.server, &[]);
    let kills = queue.work_off_with_kills(KILLS, &mut random, start);
    assert!(kills >= 3, "{kills} kills");
    for number in 0..DOCUMENTS {
        whole(&pipeline, &key(number));
    }
    let strays: Vec<_> = pipeline.vectors.keys().into_iter().filter(|key| !key.ends_with(".txt.jsonl")).collect();
    assert_eq!(strays, Vec::<String>::new());
    assert_eq!(pipeline.vectors.keys().len(), DOCUMENTS);
}
