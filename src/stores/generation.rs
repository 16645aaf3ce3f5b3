//! What a document's first point says of it in a store without transactions: which writing, of which version.
//!
//! A *writing* is one attempt at one version, or several that share its number because what they write is the
//! same. Its number only grows, so that of two points of a document the one with the higher number is the newer.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::Trouble;
use crate::record::{Held, Refused, Stamp};

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
    fn is_begun(&self, mark: &str) -> bool {
        self.stamp.is_none() && self.mark == mark
    }
}

/// A writing that begins over what was looked at, or goes on.
#[derive(Debug, PartialEq, Eq)]
pub struct Opening {
    pub over: Option<Head>,
    pub mark: String,
    pub writing: u64,
    /// Whether the first point carries this writing's number already.
    pub claimed: bool,
}

impl Opening {
    /// Of `stamp`'s version over `held`; with the [`state`] of an earlier call it goes on with that call's writing.
    ///
    /// # Errors
    /// [`Refused::StateLost`] when that writing is not what `held` speaks of any more.
    pub fn of(held: &Held, stamp: &Stamp, state: Option<&Value>) -> Result<Self, Refused> {
        let (over, mark) = (Head::of(held), mark(stamp));
        let begun = over.as_ref().filter(|head| head.is_begun(&mark)).map(|head| head.writing);
        if let Some(state) = state
            && (begun.is_none() || state["writing"].as_u64() != begun)
        {
            return Err(Refused::StateLost(Trouble::lasting("someone else wrote to the document meanwhile")));
        }
        let writing = begun.unwrap_or_else(|| later_than(over.as_ref().map(|head| head.writing)));
        Ok(Self { over, mark, writing, claimed: begun.is_some() })
    }
}

/// What a later call goes on with.
pub fn state(writing: u64) -> Value {
    json!({"writing": writing})
}

/// The same for every event of the same version under the same configuration.
fn mark(stamp: &Stamp) -> String {
    let entries = Stamp { sequencer: None, ..stamp.clone() }.entries();
    let text = entries.into_iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).to_string()
}

/// A number above `over` and, clocks permitting, above that of every attempt that began before: microseconds since
/// 1970, which a float64, as stores compare by, holds exactly until 2255.
fn later_than(over: Option<u64>) -> u64 {
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
