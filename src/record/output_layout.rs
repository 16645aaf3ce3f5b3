//! The keys of the objects that are written for a document.
//!
//! ```text
//! s3://output/prefix/<bucket>/<key>.jsonl           the vectors (.parquet by choice)
//! s3://output/prefix/<bucket>/<key>.outcome.json    why there are none
//! s3://output/prefix/<bucket>/<key>.progress.json   the checkpoint of a long document
//! ```

use sha2::{Digest, Sha256};

use crate::config::{OutputFormat, S3Location};

/// Bytes of a key at most ("Object key naming guidelines" in S3's user guide).
const LONGEST_KEY: usize = 1024;

/// The output's location and format.
#[derive(Debug, Clone)]
pub struct OutputLayout {
    output: S3Location,
    format: OutputFormat,
}

impl OutputLayout {
    pub fn new(output: &S3Location, format: OutputFormat) -> Self {
        Self { output: output.clone(), format }
    }

    /// Whether the key lies below the output, where nothing is a document.
    pub fn is_ours(&self, bucket: &str, key: &str) -> bool {
        bucket == self.output.bucket && self.output.covers(key)
    }

    pub fn result(&self, bucket: &str, key: &str) -> String {
        self.key(
            bucket,
            key,
            match self.format {
                OutputFormat::JsonLines => ".jsonl",
                OutputFormat::Parquet => ".parquet",
            },
        )
    }

    pub fn outcome(&self, bucket: &str, key: &str) -> String {
        self.key(bucket, key, ".outcome.json")
    }

    pub fn checkpoint(&self, bucket: &str, key: &str) -> String {
        self.key(bucket, key, ".progress.json")
    }

    /// A key that would be too long is cut, and ends in a hash of the whole key.
    fn key(&self, bucket: &str, key: &str, ending: &str) -> String {
        let whole = self.output.key(&format!("{bucket}/{key}"));
        if whole.len() + ending.len() <= LONGEST_KEY {
            return whole + ending;
        }
        let hash = Sha256::digest(&whole).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut cut = LONGEST_KEY - ending.len() - hash.len() - 1;
        while !whole.is_char_boundary(cut) {
            cut -= 1;
        }
        format!("{}~{hash}{ending}", &whole[..cut])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(output: &str) -> OutputLayout {
        OutputLayout::new(&S3Location::parse(output).unwrap(), OutputFormat::JsonLines)
    }

    #[test]
    fn results_lie_under_the_documents_own_name() {
        assert_eq!(layout("s3://out/a").result("docs", "x/y.txt"), "a/docs/x/y.txt.jsonl");
        assert_eq!(layout("s3://out").outcome("docs", "x"), "docs/x.outcome.json");
        let parquet = OutputLayout { format: OutputFormat::Parquet, ..layout("s3://out") };
        assert_eq!(parquet.result("docs", "x"), "docs/x.parquet");
    }

    #[test]
    fn long_keys_stay_apart_and_within_the_limit() {
        let layout = layout("s3://out/a");
        for letter in ["x", "ü", "日"] {
            let long = letter.repeat(1024 / letter.len());
            let (one, two) = (layout.result("docs", &long), layout.result("docs", &long[letter.len()..]));
            assert!(one.len() <= LONGEST_KEY && two.len() <= LONGEST_KEY && one != two);
            assert!(one.ends_with(".jsonl") && one.starts_with(&format!("a/docs/{letter}")));
        }
    }

    #[test]
    fn what_we_write_is_ours_and_nothing_beside_it() {
        let layout = layout("s3://out/a");
        assert!(layout.is_ours("out", "a/docs/x.jsonl"));
        assert!(!layout.is_ours("out", "ab/x") && !layout.is_ours("docs", "a/x"));
    }
}
