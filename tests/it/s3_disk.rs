//! Faults of the disk to which a model from S3 is written: remains of an earlier start, a full disk, a read-only one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::harness::{fixture, model};
use crate::support::parts;
use crate::support::s3_proxy::{Fault, Proxy};
use crate::support::s3_server::Bucket;
use crate::support::s3_start::{Cache, run, start};

#[test]
fn a_kept_cache_is_used_and_costs_one_request() {
    needs!(s3);
    let bucket = Bucket::with_model("kept", &fixture());
    let cache = Cache::new();
    start(&bucket, bucket.server, &cache).answers_as(&fixture());
    let proxy = Proxy::before(bucket.server, |_| Fault::None);
    start(&bucket, &proxy.address, &cache).answers_as(&fixture());
    assert_eq!(proxy.requests(), 1);
}

#[test]
fn a_damaged_cache_is_never_used_whatever_is_trusted() {
    needs!(s3);
    let bucket = Bucket::with_model("cached", &fixture());
    for end in ["/model.ort", "/tokenizer.json", "/manifest.json"] {
        let cache = Cache::new();
        start(&bucket, bucket.server, &cache).answers_as(&fixture());
        let file = cache.files(end).remove(0);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let mut command = bucket.command(bucket.server);
        run(command.env("EMBED_VERIFY", "sizes"), &cache).answers_as(&fixture());
    }
}

#[test]
fn what_a_killed_process_left_is_never_used() {
    needs!(model, s3);
    let large = model();
    let bucket = Bucket::with_model("killed", &large);
    let cache = Cache::new();
    let whole = || cache.files("/model.onnx").len() + cache.files("/model.ort").len();
    let proxy = Proxy::before(bucket.server, |_| Fault::Slow(64 * 1024, Duration::from_millis(20)));
    let mut command = bucket.command(&proxy.address);
    command.env("EMBED_CACHE_DIR", &cache.0).args(["invoke", "-"]).stdin(Stdio::null()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while proxy.transferred() < 5_000_000 {
        assert!(Instant::now() < deadline, "only {} bytes came", proxy.transferred());
        std::thread::sleep(Duration::from_millis(10));
    }
    process.kill().unwrap(); // SIGKILL
    process.wait().unwrap();
    assert_eq!((cache.files(".part").len(), whole()), (1, 0));
    start(&bucket, bucket.server, &cache).answers_as(&large);
    assert_eq!((cache.files(".part").len(), whole()), (0, 1));
}

/// A small file system in memory, ended when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(options: &str) -> Self {
        let cache = Cache::new();
        let folder = cache.0.clone();
        std::mem::forget(cache);
        std::fs::create_dir_all(&folder).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&folder).stderr(Stdio::null());
        let mounted = Self(folder);
        parts::assert_present("mount");
        if !mount.status().is_ok_and(|status| status.success()) {
            parts::missing("mount");
        }
        mounted
    }

    fn cache(&self) -> Cache {
        Cache(self.0.join("cache"))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).stderr(Stdio::null()).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn used(folder: &Path) -> u64 {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_full_disk_names_the_setting_to_raise_and_is_left_as_it_was() {
    needs!(model, s3, mount);
    let large = model();
    let bucket = Bucket::with_model("full", &large);
    let mounted = Mounted::new("size=8m");
    let cache = mounted.cache();
    start(&bucket, bucket.server, &cache).fails_with(&[
        &bucket.name,
        "/model.",
        "No space left on device",
        "MB: raise the function's ephemeral storage",
    ]);
    let folder = std::fs::read_dir(&cache.0).unwrap().next().unwrap().unwrap().path();
    assert!(cache.files(".part").is_empty() && used(&folder) < 2_000_000);
}

#[test]
fn a_disk_that_fills_at_the_last_byte_is_no_model_either() {
    needs!(s3, mount);
    let bucket = Bucket::with_model("brim", &fixture());
    let sizes = ["model.ort", "tokenizer.json"].map(|file| std::fs::metadata(fixture().join(file)).unwrap().len());
    // tmpfs counts pages, folders among them: from far too small to just enough.
    let needed = sizes.iter().map(|size| size.div_ceil(4096)).sum::<u64>();
    let mut outcomes = [0, 0];
    for pages in [needed / 2, needed - 1, needed, needed + 1, needed + 8] {
        let mounted = Mounted::new(&format!("size={}", pages * 4096));
        let done = start(&bucket, bucket.server, &mounted.cache());
        match done.outcome.is_ok() {
            true => done.answers_as(&fixture()),
            false => {
                outcomes[0] += 1;
                done.fails_with(&[&bucket.name, "ephemeral storage"]);
                continue;
            }
        }
        outcomes[1] += 1;
    }
    assert!(outcomes.iter().all(|&count| count > 0), "{outcomes:?}");
}

#[test]
fn a_read_only_disk_names_the_variable() {
    needs!(s3, mount);
    let bucket = Bucket::with_model("read-only", &fixture());
    let mounted = Mounted::new("size=64k,ro");
    start(&bucket, bucket.server, &mounted.cache()).fails_with(&[
        &bucket.name,
        "EMBED_CACHE_DIR",
        "Read-only file system",
    ]);
}
