//! Changes of S3 objects, from S3's notifications and from EventBridge.
//!
//! Source of the shapes: "Event message structure" and "EventBridge events" in S3's user guide. The types are our own,
//! because `aws_lambda_events` requires fields that S3-compatible servers omit, and needs a time library for the
//! sequencer.

use serde::Deserialize;

use super::lenient;
use crate::error::{Error, Kind, Result};
use crate::record::{Change, ChangeKind};

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
    s3: Entity,
}

#[derive(Deserialize)]
struct Entity {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

/// In notifications the ETag is `eTag` and the version `versionId`, in EventBridge's events `etag` and
/// `version-id`.
#[derive(Deserialize)]
struct Object {
    key: String,
    #[serde(rename = "eTag", alias = "etag")]
    etag: Option<String>,
    #[serde(rename = "versionId", alias = "version-id")]
    version: Option<String>,
    sequencer: Option<String>,
}

impl Notification {
    /// Reads an event that has `Records` of S3.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for a record that lacks bucket or key, or whose key is not text.
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
            _ => ChangeKind::Other,
        };
        let key = decode_key(&self.s3.object.key)?;
        Ok(self.s3.object.change(kind, self.s3.bucket.name, key))
    }
}

impl Object {
    fn change(self, kind: ChangeKind, bucket: String, key: String) -> Change {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Change {
            kind,
            bucket,
            key,
            // Buckets without versioning have no version, an empty one or "null".
            version: given(self.version).filter(|version| version != "null"),
            etag: given(self.etag).map(|etag| etag.trim_matches('"').to_owned()),
            sequencer: given(self.sequencer),
            force: false,
        }
    }
}

/// EventBridge's `{"source": "aws.s3", "detail-type": …, "detail": …}`.
#[derive(Deserialize)]
pub struct BridgeEvent {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    bucket: Bucket,
    object: Object,
}

impl BridgeEvent {
    /// Reads EventBridge's event. Its key is not URL-encoded.
    pub fn read(json: &str) -> Result<Change> {
        let event: Self = serde_json::from_str(json).map_err(|e| malformed("EventBridge event", e))?;
        let kind = match event.detail_type.as_str() {
            "Object Created" | "Object Restore Completed" => ChangeKind::Created,
            "Object Deleted" => ChangeKind::Removed,
            _ => ChangeKind::Other,
        };
        let key = whole(&event.detail.object.key)?.to_owned();
        Ok(event.detail.object.change(kind, event.detail.bucket.name, key))
    }
}

/// Decodes a key from a notification or a manifest: form encoding, in which a plus sign is a space.
///
/// # Errors
/// [`Kind::Malformed`] for bytes that are not UTF-8, which no key of S3 has.
pub fn decode_key(encoded: &str) -> Result<String> {
    let spaced = whole(encoded)?.replace('+', " ");
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|e| malformed("key", e))
}

/// `key`, unless a byte of it got lost.
fn whole(key: &str) -> Result<&str> {
    if lenient::is_whole(key) { Ok(key) } else { Err(malformed("key", "it is not UTF-8")) }
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
        let event = [&br#"{"detail-type": "Object Created", "detail": "#[..], &object(b"a\xE9"), b"}"].concat();
        assert!(BridgeEvent::read(&lenient::text(&event)).unwrap_err().to_string().contains("UTF-8"));
        let event =
            [&b"{\"detail-type\": \"Object Created\", \"x\": \"\xE9\", \"detail\": "[..], &object(b"a"), b"}"].concat();
        assert_eq!(BridgeEvent::read(&lenient::text(&event)).unwrap().key, "a");
    }

    proptest::proptest! {
        /// S3 encodes keys in notifications and manifests, with or without their slashes; EventBridge gets them plain.
        #[test]
        fn any_key_arrives_as_s3_names_it(key: String) {
            use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
            const BUT_SLASHES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');
            for set in [NON_ALPHANUMERIC, BUT_SLASHES] {
                let encoded = utf8_percent_encode(&key, set).to_string();
                assert_eq!(decode_key(&encoded).unwrap(), key);
                assert_eq!(decode_key(&encoded.replace("%20", "+")).unwrap(), key);
            }
            let event = serde_json::json!({"source": "aws.s3", "detail-type": "Object Created", "detail":
                {"bucket": {"name": "b"}, "object": {"key": key}}});
            assert_eq!(BridgeEvent::read(&event.to_string()).unwrap().key, key);
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
        for (name, kind) in [
            ("ObjectCreated:CompleteMultipartUpload", ChangeKind::Created),
            ("ObjectRestore:Completed", ChangeKind::Created),
            ("ObjectRestore:Post", ChangeKind::Other),
            ("s3:ObjectCreated:Copy", ChangeKind::Created),
            ("ObjectRemoved:DeleteMarkerCreated", ChangeKind::Removed),
            ("LifecycleExpiration:Delete", ChangeKind::Removed),
            ("ObjectTagging:Put", ChangeKind::Other),
        ] {
            let record = format!(r#"{{"eventName":"{name}","s3":{{"bucket":{{"name":"b"}},"object":{{"key":"k"}}}}}}"#);
            assert_eq!(notification(&record).unwrap()[0].kind, kind, "{name}");
        }
        for (name, kind) in [
            ("Object Created", ChangeKind::Created),
            ("Object Deleted", ChangeKind::Removed),
            ("Object Restore Completed", ChangeKind::Created),
            ("Object Restore Initiated", ChangeKind::Other),
            ("Object Tags Added", ChangeKind::Other),
        ] {
            let event =
                format!(r#"{{"detail-type":"{name}","detail":{{"bucket":{{"name":"b"}},"object":{{"key":"k"}}}}}}"#);
            assert_eq!(BridgeEvent::read(&event).unwrap().kind, kind, "{name}");
        }
    }

    #[test]
    fn a_record_without_a_key_is_named() {
        let error = notification(r#"{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{}}}"#);
        assert!(error.unwrap_err().to_string().contains("missing field `key`"));
    }
}
