//! What a document's first point says of it in a store without transactions: which writing, of which version.
//!
//! A *writing* is one attempt at one version, or several that share its number because what they write is the
//! same. Its number only grows, so that of two points of a document the one with the higher number is the newer.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Held, Stamp};

/// Stands in the first point's payload or metadata, as `embed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub writing: u64,
    /// Of one version under one configuration: [`mark`].
    pub mark: String,
    /// Chunks that there may be, older versions' included.
    pub chunks: usize,
    /// [`Stamp::entries`]; absent until every point is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<BTreeMap<String, String>>,
}

impl Head {
    /// The head that [`held`](Self::held) put into the tag.
    pub fn of(held: &Held) -> Option<Self> {
        held.tag.as_deref().and_then(|tag| serde_json::from_str(tag).ok())
    }

    pub fn held(&self) -> Held {
        let stamp = self.stamp.as_ref().and_then(|stamp| Stamp::read(|name| stamp.get(name).map(String::as_str)));
        Held { stamp, tag: serde_json::to_string(self).ok(), chunks: self.chunks }
    }

    /// Whether it is what an attempt at `mark` left, or is leaving: another one can go on with its number.
    pub fn is_begun(&self, mark: &str) -> bool {
        self.stamp.is_none() && self.mark == mark
    }
}

/// The same for every event of the same version under the same configuration.
pub fn mark(stamp: &Stamp) -> String {
    let entries = Stamp { sequencer: None, ..stamp.clone() }.entries();
    let text = entries.into_iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

/// A number above `over` and, clocks permitting, above that of every attempt that began before: microseconds since
/// 1970, which a float64, as stores compare by, holds exactly until 2255.
pub fn later_than(over: Option<u64>) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64;
    over.map_or(now, |over| now.max(over + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(etag: &str, sequencer: Option<&str>) -> Stamp {
        let sequencer = sequencer.map(str::to_owned);
        Stamp { etag: etag.to_owned(), version: None, sequencer, last_modified: 1, fingerprint: "f".to_owned() }
    }

    #[test]
    fn a_mark_is_of_the_version_and_not_of_the_event() {
        assert_eq!(mark(&stamp("a", Some("01"))), mark(&stamp("a", None)));
        assert_ne!(mark(&stamp("a", None)), mark(&stamp("b", None)));
    }

    #[test]
    fn numbers_grow_whatever_the_clock_says() {
        let now = later_than(None);
        assert!(now > 1 << 50 && now < 1 << 53);
        assert_eq!(later_than(Some(1 << 53)), (1 << 53) + 1);
    }

    #[test]
    fn a_head_survives_the_tag() {
        let stamp = stamp("a", Some("01"));
        let head = Head { writing: 7, mark: mark(&stamp), chunks: 3, stamp: Some(stamp.entries()) };
        let held = head.held();
        assert_eq!((held.stamp.as_ref(), Head::of(&held)), (Some(&stamp), Some(head.clone())));
        assert!(!head.is_begun(&head.mark) && Head { stamp: None, ..head.clone() }.is_begun(&head.mark));
        assert_eq!(Head::of(&Held::default()), None);
    }
}
