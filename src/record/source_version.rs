//! Which version of a document a sink holds, and which of two versions is the newer one.
//!
//! A stamp is small text, so that it fits an object's metadata as well as a point's payload.

use std::collections::BTreeMap;

use crate::record::Document;

/// One version of a document under one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    pub etag: String,
    pub version: Option<String>,
    pub sequencer: Option<String>,
    /// Seconds since 1970.
    pub last_modified: i64,
    /// Hash of everything beside the object that its records depend on: model, chunking, format.
    pub fingerprint: String,
}

/// How a held version stands to one that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The same version under the same configuration.
    Same,
    /// What is held is to be replaced.
    Older,
    /// What is held is to stay.
    Newer,
    /// Two versions of the same second without sequencers: only the source can tell which one it holds now.
    Unknown,
}

const ETAG: &str = "embed-etag";
const VERSION: &str = "embed-version";
const SEQUENCER: &str = "embed-sequencer";
const LAST_MODIFIED: &str = "embed-last-modified";
const FINGERPRINT: &str = "embed-fingerprint";

impl Stamp {
    pub fn of(document: &Document, fingerprint: &str) -> Self {
        Self {
            etag: document.etag.clone(),
            version: document.version.clone(),
            sequencer: document.sequencer.clone(),
            last_modified: document.last_modified,
            fingerprint: fingerprint.to_owned(),
        }
    }

    /// As entries of an object's metadata or a point's payload.
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

    /// The stamp in `look_up`'s entries; `None` where there is none, so that what is held counts as nobody's.
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

    /// How the held version `self` stands to `new`.
    ///
    /// Sequencers decide where both have one and they differ; then the time of the object, which S3 gives in
    /// whole seconds. The same bytes written again are another version: their metadata may differ.
    pub fn order(&self, new: &Self) -> Order {
        use std::cmp::Ordering;
        let same_object = self.etag == new.etag && self.version == new.version;
        if same_object && self.last_modified == new.last_modified {
            return if self.fingerprint == new.fingerprint { Order::Same } else { Order::Older };
        }
        let by_sequencer = match (&self.sequencer, &new.sequencer) {
            (Some(held), Some(new)) => compare_sequencers(held, new),
            _ => Ordering::Equal,
        };
        match by_sequencer.then(self.last_modified.cmp(&new.last_modified)) {
            Ordering::Less => Order::Older,
            Ordering::Greater => Order::Newer,
            Ordering::Equal => Order::Unknown,
        }
    }
}

/// The order of two events of one key: hexadecimal numbers of which the shorter one is to be filled with
/// zeros on its right, says "Event message structure" in S3's user guide.
pub fn compare_sequencers(a: &str, b: &str) -> std::cmp::Ordering {
    let length = a.len().max(b.len());
    let filled = |text: &str| format!("{text:0<length$}").to_ascii_uppercase();
    filled(a).cmp(&filled(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(etag: &str, sequencer: Option<&str>, last_modified: i64) -> Stamp {
        let sequencer = sequencer.map(str::to_owned);
        Stamp { etag: etag.to_owned(), version: None, sequencer, last_modified, fingerprint: "f".to_owned() }
    }

    #[test]
    fn sequencers_go_before_times() {
        let held = stamp("a", Some("0055AED6DCD90281E5"), 100);
        assert_eq!(held.order(&stamp("b", Some("0055AED6DCD90281E6"), 100)), Order::Older);
        assert_eq!(held.order(&stamp("b", Some("0055AED6DCD90281E4"), 101)), Order::Newer);
        assert_eq!(held.order(&stamp("b", None, 99)), Order::Newer);
        assert_eq!(held.order(&stamp("b", None, 101)), Order::Older);
        assert_eq!(held.order(&stamp("b", None, 100)), Order::Unknown);
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
        let held = stamp("a", Some("02"), 100);
        assert_eq!(held.order(&stamp("a", Some("01"), 100)), Order::Same);
        assert_eq!(held.order(&stamp("a", None, 100)), Order::Same);
        assert_eq!(held.order(&stamp("a", None, 101)), Order::Older);
    }

    #[test]
    fn another_configuration_replaces_its_results() {
        let held = stamp("a", Some("02"), 100);
        let new = Stamp { fingerprint: "g".to_owned(), ..stamp("a", Some("02"), 100) };
        assert_eq!(held.order(&new), Order::Older);
    }

    #[test]
    fn a_stamp_survives_its_entries() {
        let full = Stamp { version: Some("v".to_owned()), ..stamp("a", Some("01"), -5) };
        for stamp in [full, stamp("a", None, 7)] {
            let entries = stamp.entries();
            assert_eq!(Stamp::read(|name| entries.get(name).map(String::as_str)), Some(stamp));
        }
        assert_eq!(Stamp::read(|_| None), None);
    }
}
