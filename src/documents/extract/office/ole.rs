//! Compound files (OLE): what Office wrote before 2007, and what it wraps encrypted documents in. None is read; the
//! reason says what it is.

use crate::documents::extract::{Skip, Unreadable};

/// A compound file's directory has an entry every 128 bytes, which begins with a name in UTF-16.
const ENTRY: usize = 128;

/// The entries that tell what a compound file is, and the reason for skipping it.
const KINDS: [(&str, Skip, &str); 7] = [
    ("EncryptedPackage", Skip::Encrypted, "it needs a password"),
    ("WordDocument", Skip::NotText, "it is a Word 97-2003 document (doc), which is not read: save it as docx"),
    ("Workbook", Skip::NotText, "it is an Excel 97-2003 workbook (xls), which is not read: save it as xlsx"),
    ("Book", Skip::NotText, "it is an Excel 5.0 workbook (xls), which is not read: save it as xlsx"),
    (
        "PowerPoint Document",
        Skip::NotText,
        "it is a PowerPoint 97-2003 presentation (ppt), which is not read: save it as pptx",
    ),
    ("__properties_version1.0", Skip::NotText, "it is an Outlook message (msg), which is not read: save it as eml"),
    ("Root Entry", Skip::NotText, "it is not text but application/x-ole-storage"),
];

/// Why the compound file is not read, of which `bytes` are the first ones or all.
pub fn refused(bytes: &[u8]) -> Unreadable {
    let begins = |entry: &[u8], name: &str| {
        // With the zero that ends it: `Book` is no `Bookmarks`.
        let mut units = name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes);
        let mut at = entry.iter();
        units.all(|byte| at.next() == Some(&byte))
    };
    let has = |name: &&(&str, Skip, &str)| bytes.chunks_exact(ENTRY).any(|entry| begins(entry, name.0));
    let &(_, why, reason) = KINDS.iter().find(has).unwrap_or(&KINDS[KINDS.len() - 1]);
    Unreadable::skipped(why, reason)
}
