//! The process's resident memory, as the kernel counts it.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// `/proc/self/statm`, kept open: a call needs one system call instead of three.
#[derive(Debug)]
pub struct Memory {
    statm: Option<File>,
    page_bytes: u64,
}

impl Memory {
    pub fn open() -> Self {
        Self { statm: File::open("/proc/self/statm").ok(), page_bytes: page_bytes().unwrap_or(4096) }
    }

    /// Resident bytes; `None` without a `/proc`.
    pub fn resident_bytes(&self) -> Option<u64> {
        let mut buffer = [0; 128];
        let length = self.statm.as_ref()?.read_at(&mut buffer, 0).ok()?;
        // Seven numbers of pages: in all, resident, shared, …
        let text = std::str::from_utf8(&buffer[..length]).ok()?;
        Some(text.split(' ').nth(1)?.parse::<u64>().ok()? * self.page_bytes)
    }
}

/// A page's size from the auxiliary vector, which consists of pairs of words; `AT_PAGESZ` is 6 in `linux/auxvec.h`. A
/// page has 4 KiB, or 16 or 64 on some arm64 kernels.
fn page_bytes() -> Option<u64> {
    const AT_PAGESZ: u64 = 6;
    let vector = std::fs::read("/proc/self/auxv").ok()?;
    let word = |bytes: &[u8]| bytes.try_into().ok().map(u64::from_ne_bytes);
    vector.chunks_exact(16).find(|pair| word(&pair[..8]) == Some(AT_PAGESZ)).and_then(|pair| word(&pair[8..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_as_large_as_the_system_says() {
        let said = std::process::Command::new("getconf").arg("PAGESIZE").output().unwrap().stdout;
        assert_eq!(page_bytes(), String::from_utf8(said).unwrap().trim().parse().ok());
    }

    #[test]
    fn memory_is_what_the_status_file_says() {
        let memory = Memory::open();
        // Touched, so that the two files differ by little beside it.
        let held = std::hint::black_box(vec![1u8; 64 << 20]);
        let own = memory.resident_bytes().unwrap() as f64;
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!((own / (kilobytes * 1024.0) - 1.0).abs() < 0.2, "{own} bytes, {line}");
        drop(held);
    }
}
