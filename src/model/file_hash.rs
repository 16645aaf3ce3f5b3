//! The sha256 of a file while others write it in parallel parts.
//!
//! A hash needs its bytes in order and parts arrive in any order. So a thread follows the point up to which the file
//! has no gap, reads the bytes back and hashes them. It ends when every [`Growth`] is dropped.

use std::fs::File;
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use sha2::{Digest, Sha256};

use super::manifest::hex;

/// Bytes of one read: small enough for the processor's cache, large enough to need few calls.
const BLOCK_BYTES: usize = 256 * 1024;

/// Reports to the hashing thread how far a part got; cheap to clone.
#[derive(Clone)]
pub struct Growth(Sender<(usize, u64)>);

impl Growth {
    /// Part number `part` is written up to the file's byte `at`.
    pub fn reached(&self, part: usize, at: u64) {
        // If the thread ended early, its result says why.
        let _ = self.0.send((part, at));
    }
}

/// Starts hashing a file of `size` bytes that grows in parts of `part_bytes`. The future is ready when
/// every clone of the [`Growth`] is dropped and what was reached is hashed: lower-case hex.
///
/// Must be called within an I/O runtime, whose threads for blocking work it uses.
pub fn hash(file: Arc<File>, size: u64, part_bytes: u64) -> (Growth, impl Future<Output = std::io::Result<String>>) {
    let (sender, receiver) = mpsc::channel();
    let hashing = tokio::task::spawn_blocking(move || follow(&file, size, part_bytes, &receiver));
    let outcome = async { hashing.await.unwrap_or_else(|ended| Err(std::io::Error::other(ended))) };
    (Growth(sender), outcome)
}

fn follow(file: &File, size: u64, part_bytes: u64, growth: &Receiver<(usize, u64)>) -> std::io::Result<String> {
    let starts = (0..size.div_ceil(part_bytes)).map(|part| part * part_bytes);
    let mut reached: Vec<u64> = starts.collect();
    let (mut digest, mut block, mut hashed) = (Sha256::new(), vec![0; BLOCK_BYTES], 0);
    while let Ok((part, at)) = growth.recv() {
        reached[part] = at;
        let whole = whole_up_to(&reached, size, part_bytes);
        // Few large steps rather than one for every packet.
        while whole - hashed >= BLOCK_BYTES as u64 || (whole == size && hashed < size) {
            let length = BLOCK_BYTES.min((whole - hashed) as usize);
            file.read_exact_at(&mut block[..length], hashed)?;
            digest.update(&block[..length]);
            hashed += length as u64;
        }
    }
    Ok(hex(&digest.finalize()))
}

/// The first byte that is not yet written.
fn whole_up_to(reached: &[u64], size: u64, part_bytes: u64) -> u64 {
    let end = |part: usize| size.min((part as u64 + 1) * part_bytes);
    let unfinished = (0..reached.len()).find(|&part| reached[part] < end(part));
    unfinished.map_or(size, |part| reached[part])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_come_in_any_order_have_the_hash_of_the_whole() {
        let bytes: Vec<u8> = (0..700_001u32).map(|i| (i * 7 % 251) as u8).collect();
        let path = std::env::temp_dir().join(format!("lambda-embed-growing-{}", std::process::id()));
        let file = Arc::new(File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap());
        let (size, part_bytes) = (bytes.len() as u64, 100_000);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(async {
            let (growth, hash) = hash(Arc::clone(&file), size, part_bytes);
            for part in [3, 0, 1, 7, 6, 2, 5, 4] {
                let start = part * part_bytes;
                let middle = size.min(start + part_bytes / 2);
                let end = size.min(start + part_bytes);
                for (from, to) in [(start, middle), (middle, end)] {
                    file.write_all_at(&bytes[from as usize..to as usize], from).unwrap();
                    growth.reached(part as usize, to);
                }
            }
            drop(growth);
            hash.await.unwrap()
        });
        std::fs::remove_file(&path).unwrap();
        assert_eq!(found, hex(&Sha256::digest(&bytes)));
    }

    #[test]
    fn what_lies_behind_a_gap_does_not_count() {
        assert_eq!(whole_up_to(&[10, 15, 20], 25, 10), 15);
        assert_eq!(whole_up_to(&[9, 20, 25], 25, 10), 9);
        assert_eq!(whole_up_to(&[10, 20, 25], 25, 10), 25);
        assert_eq!(whole_up_to(&[], 0, 10), 0);
    }
}
