//! Which version of a document a store holds, and which of two versions is newer.
//!
//! A source version is small text, so that it fits an object's metadata as well as a point's payload.

use std::collections::BTreeMap;

use crate::record::Document;

/// One version of a document under one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceVersion {
    pub etag: String,
    pub version: Option<String>,
    pub sequencer: Option<String>,
    /// Seconds since 1970.
    pub last_modified: i64,
    /// Hash of everything beside the object that its records depend on: model, chunking, format.
    pub fingerprint: String,
}

/// How the existing version compares to one that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionOrder {
    /// The same version under the same configuration.
    Same,
    /// The existing version is older: replace it.
    Older,
    /// The existing version is newer: keep it.
    Newer,
    /// Two versions of the same second without sequencers: only the source can tell which one it holds now.
    Unknown,
}

const ETAG: &str = "embed-etag";
const VERSION: &str = "embed-version";
const SEQUENCER: &str = "embed-sequencer";
const LAST_MODIFIED: &str = "embed-last-modified";
const FINGERPRINT: &str = "embed-fingerprint";

impl SourceVersion {
    pub fn of(document: &Document, fingerprint: &str) -> Self {
        Self {
            etag: document.etag.clone(),
            version: document.version.clone(),
            sequencer: document.sequencer.clone(),
            last_modified: document.last_modified,
            fingerprint: fingerprint.to_owned(),
        }
    }

    /// The entries of an object's metadata or a point's payload.
    pub fn entries(&self) -> BTreeMap<String, String> {
        let known = [
            (ETAG, Some(self.etag.clone())),
            (VERSION, self.version.clone()),
            (SEQUENCER, self.sequencer.clone()),
            (LAST_MODIFIED, Some(self.last_modified.to_string())),
            (FINGERPRINT, Some(self.fingerprint.clone())),
        ];
        known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }

    /// Reads a source version from the entries of `look_up`; `None` where they hold none, because another program
    /// wrote them.
    pub fn read<'a>(look_up: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let text = |name| look_up(name).map(str::to_owned);
        Some(Self {
            etag: text(ETAG)?,
            version: text(VERSION),
            sequencer: text(SEQUENCER),
            last_modified: look_up(LAST_MODIFIED)?.parse().ok()?,
            fingerprint: text(FINGERPRINT)?,
        })
    }

    /// Compares the existing version `self` to `new`.
    ///
    /// Sequencers decide if both versions have one and they differ; otherwise the object's time does, which S3 gives
    /// in whole seconds. The same bytes written again are another version, because their metadata may differ.
    pub fn order(&self, new: &Self) -> VersionOrder {
        use std::cmp::Ordering;
        let same_object = self.etag == new.etag && self.version == new.version;
        if same_object && self.last_modified == new.last_modified {
            return if self.fingerprint == new.fingerprint { VersionOrder::Same } else { VersionOrder::Older };
        }
        let by_sequencer = match (&self.sequencer, &new.sequencer) {
            (Some(existing), Some(new)) => compare_sequencers(existing, new),
            _ => Ordering::Equal,
        };
        match by_sequencer.then(self.last_modified.cmp(&new.last_modified)) {
            Ordering::Less => VersionOrder::Older,
            Ordering::Greater => VersionOrder::Newer,
            Ordering::Equal => VersionOrder::Unknown,
        }
    }
}

/// The order of two events of one key. Sequencers are hexadecimal numbers, the shorter one padded with zeros on its
/// right ("Event message structure" in S3's user guide).
pub fn compare_sequencers(a: &str, b: &str) -> std::cmp::Ordering {
    let length = a.len().max(b.len());
    let filled = |text: &str| format!("{text:0<length$}").to_ascii_uppercase();
    filled(a).cmp(&filled(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source_version(etag: &str, sequencer: Option<&str>, last_modified: i64) -> SourceVersion {
        let sequencer = sequencer.map(str::to_owned);
        SourceVersion { etag: etag.to_owned(), version: None, sequencer, last_modified, fingerprint: "f".to_owned() }
    }

    #[test]
    fn sequencers_go_before_times() {
        let existing = source_version("a", Some("0055AED6DCD90281E5"), 100);
        assert_eq!(existing.order(&source_version("b", Some("0055AED6DCD90281E6"), 100)), VersionOrder::Older);
        assert_eq!(existing.order(&source_version("b", Some("0055AED6DCD90281E4"), 101)), VersionOrder::Newer);
        assert_eq!(existing.order(&source_version("b", None, 99)), VersionOrder::Newer);
        assert_eq!(existing.order(&source_version("b", None, 101)), VersionOrder::Older);
        assert_eq!(existing.order(&source_version("b", None, 100)), VersionOrder::Unknown);
    }

    #[test]
    fn a_shorter_sequencer_is_filled_on_its_right() {
        use std::cmp::Ordering::{Equal, Greater, Less};
        assert_eq!(compare_sequencers("00A", "00A0"), Equal);
        assert_eq!(compare_sequencers("00B", "00A9"), Greater);
        assert_eq!(compare_sequencers("00a1", "00A12"), Less);
    }

    #[test]
    fn the_same_object_is_the_same_whatever_event_told_of_it() {
        let existing = source_version("a", Some("02"), 100);
        assert_eq!(existing.order(&source_version("a", Some("01"), 100)), VersionOrder::Same);
        assert_eq!(existing.order(&source_version("a", None, 100)), VersionOrder::Same);
        assert_eq!(existing.order(&source_version("a", None, 101)), VersionOrder::Older);
    }

    #[test]
    fn another_configuration_replaces_its_results() {
        let existing = source_version("a", Some("02"), 100);
        let new = SourceVersion { fingerprint: "g".to_owned(), ..source_version("a", Some("02"), 100) };
        assert_eq!(existing.order(&new), VersionOrder::Older);
    }

    #[test]
    fn a_source_version_survives_its_entries() {
        let full = SourceVersion { version: Some("v".to_owned()), ..source_version("a", Some("01"), -5) };
        for source_version in [full, source_version("a", None, 7)] {
            let entries = source_version.entries();
            assert_eq!(SourceVersion::read(|name| entries.get(name).map(String::as_str)), Some(source_version));
        }
        assert_eq!(SourceVersion::read(|_| None), None);
    }
}
