//! Changes of S3 objects, from S3's notifications.
//!
//! Source of the shapes: "Event message structure" in S3's user guide. The types are our own, because
//! `aws_lambda_events` requires fields that S3-compatible servers omit, and needs a time library for the sequencer.

use serde::Deserialize;

use super::lenient::{self, Maybe, MaybeObject};
use crate::error::{Error, Kind, Result};
use crate::record::{Change, ChangeKind};

/// Why an event of S3 needs no work.
pub const NO_CONTENT: &str = "the event tells of no new content";

/// `{"Records": [{"s3": …}]}`.
#[derive(Deserialize)]
pub struct Notification {
    #[serde(rename = "Records")]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    #[serde(default)]
    s3: MaybeObject<Entity>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entity {
    bucket: MaybeObject<Bucket>,
    object: MaybeObject<Object>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Bucket {
    pub name: Maybe<String>,
}

/// In notifications the ETag is `eTag` and the version `versionId`, in EventBridge's events `etag` and
/// `version-id`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Object {
    pub key: Maybe<String>,
    #[serde(rename = "eTag", alias = "etag")]
    pub etag: Maybe<String>,
    #[serde(rename = "versionId", alias = "version-id")]
    pub version: Maybe<String>,
    pub sequencer: Maybe<String>,
}

impl Notification {
    /// Reads an event that has `Records` of S3.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for a record that lacks its name, for one of a change that lacks bucket or key, or whose key
    /// is not text.
    pub fn read(json: &str) -> Result<Vec<Change>> {
        let notification: Self = serde_json::from_str(json).map_err(|e| malformed("notification", e))?;
        notification.records.into_iter().map(Record::change).collect()
    }
}

impl Record {
    fn change(self) -> Result<Change> {
        // For example "ObjectCreated:Put"; some S3-compatible servers write "s3:ObjectCreated:Put".
        let name = self.event_name.strip_prefix("s3:").unwrap_or(&self.event_name);
        let kind = match name.split(':').next() {
            Some("ObjectCreated") => ChangeKind::Created,
            // An archived object that can be read for some days now.
            Some("ObjectRestore") if name.ends_with(":Completed") => ChangeKind::Created,
            // Deleted by a request, or by a lifecycle rule; in a bucket with versions also hidden by a marker.
            Some("ObjectRemoved" | "LifecycleExpiration") => ChangeKind::Removed,
            _ => ChangeKind::Other(NO_CONTENT),
        };
        let Entity { bucket, object } = self.s3.0.unwrap_or_default();
        object.0.unwrap_or_default().change(kind, bucket.0.and_then(|bucket| bucket.name.0), decode_key)
    }
}

impl Object {
    /// The change of this object, whose key `read_key` reads. What needs no work need not name an object.
    ///
    /// # Errors
    /// [`Kind::Malformed`] where bucket or key are missing; those of `read_key`.
    pub fn change(
        self,
        kind: ChangeKind,
        bucket: Option<String>,
        read_key: fn(&str) -> Result<String>,
    ) -> Result<Change> {
        let key = self.key.0.map(|key| read_key(&key));
        if let ChangeKind::Other(why) = kind {
            return Ok(Change::other(why, bucket, key.and_then(Result::ok)));
        }
        let given = |Maybe(text): Maybe<String>| text.filter(|text| !text.is_empty());
        Ok(Change {
            kind,
            bucket: bucket.ok_or_else(|| malformed("event", "it names no bucket"))?,
            key: key.unwrap_or_else(|| Err(malformed("event", "it names no key")))?,
            // Buckets without versioning have no version, an empty one or "null".
            version: given(self.version).filter(|version| version != "null"),
            etag: given(self.etag).map(|etag| etag.trim_matches('"').to_owned()),
            sequencer: given(self.sequencer),
            force: false,
        })
    }
}

/// Decodes a key from a notification or a manifest: form encoding, in which a plus sign is a space.
///
/// # Errors
/// [`Kind::Malformed`] for bytes that are not UTF-8, which no key of S3 has.
pub fn decode_key(encoded: &str) -> Result<String> {
    let spaced = whole_key(encoded)?.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|e| malformed("key", e))
}

/// A key that is not encoded.
///
/// # Errors
/// [`Kind::Malformed`] if a byte of it got lost.
pub fn whole_key(key: &str) -> Result<String> {
    if lenient::is_whole(key) { Ok(key.to_owned()) } else { Err(malformed("key", "it is not UTF-8")) }
}

pub fn malformed(what: &str, cause: impl std::fmt::Display) -> Error {
    Error::request(Kind::Malformed, None, format!("the {what} of S3 is not understood: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_decoded_as_s3_encodes_them() {
        for (encoded, key) in [
            ("docs/plain.txt", "docs/plain.txt"),
            ("docs%2Fa+b.txt", "docs/a b.txt"),
            ("a%2Bb%20c.txt", "a+b c.txt"),
            ("%C3%BCn%C3%AFc%C3%B6de/%E6%97%A5%E6%9C%AC.md", "ünïcöde/日本.md"),
            ("100%25.txt", "100%.txt"),
            ("a%2526b", "a%26b"),
            ("odd%zz%", "odd%zz%"),
        ] {
            assert_eq!(decode_key(encoded).unwrap(), key);
        }
        assert!(decode_key("%FF%FE").is_err());
    }

    #[test]
    fn a_key_that_is_no_utf8_is_malformed_and_no_other_key() {
        let object = |key: &[u8]| [&br#"{"bucket": {"name": "b"}, "object": {"key": ""#[..], key, br#""}}"#].concat();
        let event =
            [&br#"{"Records": [{"eventName": "ObjectCreated:Put", "s3": "#[..], &object(b"a\xE9"), b"}]}"].concat();
        assert!(Notification::read(&lenient::text(&event)).unwrap_err().to_string().contains("UTF-8"));
    }

    proptest::proptest! {
        /// S3 encodes keys in notifications and manifests, with or without their slashes.
        #[test]
        fn any_key_arrives_as_s3_names_it(key: String) {
            use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
            const BUT_SLASHES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
            for set in [NON_ALPHANUMERIC, BUT_SLASHES] {
                let encoded = utf8_percent_encode(&key, set).to_string();
                assert_eq!(decode_key(&encoded).unwrap(), key);
                assert_eq!(decode_key(&encoded.replace("%20", "+")).unwrap(), key);
            }
        }
    }

    fn notification(record: &str) -> Result<Vec<Change>> {
        Notification::read(&format!(r#"{{"Records":[{record}]}}"#))
    }

    #[test]
    fn what_a_server_leaves_out_is_absent() {
        let bare = r#"{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k","versionId":"null","eTag":""}}}"#;
        let change = notification(bare).unwrap().remove(0);
        assert_eq!(
            (change.kind, change.version, change.etag, change.sequencer),
            (ChangeKind::Created, None, None, None)
        );
    }

    #[test]
    fn every_name_of_an_event_has_its_kind() {
        let other = ChangeKind::Other(NO_CONTENT);
        for (name, kind) in [
            ("ObjectCreated:CompleteMultipartUpload", ChangeKind::Created),
            ("ObjectRestore:Completed", ChangeKind::Created),
            ("s3:ObjectCreated:Copy", ChangeKind::Created),
            ("ObjectRemoved:DeleteMarkerCreated", ChangeKind::Removed),
            ("LifecycleExpiration:Delete", ChangeKind::Removed),
            ("ObjectRestore:Post", other),
            ("ObjectRestore:Delete", other),
            ("ObjectTagging:Put", other),
            ("ObjectAcl:Put", other),
            ("LifecycleTransition", other),
            ("IntelligentTiering", other),
            ("Replication:OperationMissedThreshold", other),
            ("ReducedRedundancyLostObject", other),
        ] {
            let record = format!(r#"{{"eventName":"{name}","s3":{{"bucket":{{"name":"b"}},"object":{{"key":"k"}}}}}}"#);
            assert_eq!(notification(&record).unwrap()[0].kind, kind, "{name}");
        }
    }

    #[test]
    fn a_record_without_a_key_is_named_unless_it_needs_no_work() {
        for (object, missing) in
            [(r#"{"bucket":{"name":"b"},"object":{}}"#, "no key"), (r#"{"object":{"key":"k"}}"#, "no bucket")]
        {
            let record = |name: &str| notification(&format!(r#"{{"eventName":"{name}","s3":{object}}}"#));
            for name in ["ObjectCreated:Put", "ObjectRemoved:Delete"] {
                assert!(record(name).unwrap_err().to_string().contains(missing), "{name}");
            }
            assert_eq!(record("ObjectTagging:Delete").unwrap()[0].kind, ChangeKind::Other(NO_CONTENT));
        }
        let no_text =
            notification(r#"{"eventName":"ObjectAcl:Put","s3":{"bucket":{"name":"b"},"object":{"key":"%FF"}}}"#);
        assert_eq!(no_text.unwrap()[0].key, "");
    }
}
