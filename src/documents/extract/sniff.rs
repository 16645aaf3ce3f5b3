//! Which format an object is in: by its content type, then its name, then its first bytes.

use std::borrow::Cow;
use std::collections::HashSet;

use encoding_rs::Encoding;

use super::xml::Prolog;
use super::{Format, Hints, charset, xml};

/// Where a PDF's header may begin: Acrobat allows this much before it.
const PDF_HEADER_WITHIN: usize = 1024;

/// Control characters that a short text may have.
const STRAY: usize = 3;

/// Bytes within which HTML has to declare its encoding.
const META_WITHIN: usize = 1024;

/// The format by hints and first bytes. As many endings like `.gz` are ignored as layers were `decompressed`.
pub fn format(hints: &Hints<'_>, head: &[u8], decompressed: usize) -> Format {
    if is_pdf(head) {
        return Format::Pdf;
    }
    if is_rtf(head) {
        return Format::Rtf;
    }
    let (declared, generic) = match hints.content_type.map(essence) {
        Some(essence) => (by_content_type(&essence), essence == "text/plain"),
        None => (None, false),
    };
    let named = by_name(hints.key, decompressed);
    let found = match (declared, named) {
        // A name says more than `text/plain`, which uploaders fall back to; many a .jsonl has JSON's type.
        (Some(Format::Text), Some(named)) if generic => named,
        (Some(Format::Json), Some(Format::JsonLines)) => Format::JsonLines,
        (Some(declared), _) => declared,
        (None, Some(named)) => named,
        (None, None) => by_content(head),
    };
    // Pages are called XML by many servers and names.
    if found == Format::Xml && root(head) == Some("html") { Format::Html } else { found }
}

/// The local name of a document's outermost element, if it begins within `head`; `None` for other texts than XML.
fn root(head: &[u8]) -> Option<&str> {
    Prolog::of(head.utf8_chunks().next().map_or("", |chunk| chunk.valid())).root()
}

/// Whether the object's `Content-Encoding` or name says that it is compressed with Brotli.
pub fn is_stored_in_brotli(hints: &Hints<'_>) -> bool {
    let mut codings = hints.content_encoding.unwrap_or_default().split(',');
    codings.any(|coding| coding.trim().eq_ignore_ascii_case("br")) || hints.key.to_ascii_lowercase().ends_with(".br")
}

/// The encoding that the content type declares, or HTML or XML itself.
pub fn declared_charset(hints: &Hints<'_>, head: &[u8], format: Format) -> Option<&'static Encoding> {
    let parameter = hints.content_type.and_then(|content_type| {
        content_type.split(';').skip(1).find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
        })
    });
    if let Some(found) = parameter.and_then(charset::labelled) {
        return Some(found);
    }
    if format == Format::Xml {
        return xml::declared(head);
    }
    if format != Format::Html {
        return None;
    }
    let start = String::from_utf8_lossy(&head[..head.len().min(META_WITHIN)]).to_ascii_lowercase();
    let label = start.split_once("charset=")?.1.trim_start_matches(['"', '\'', ' ']);
    let end = label.find(['"', '\'', ' ', '>', ';', '/']).unwrap_or(label.len());
    // The declaration was read as ASCII, so the encoding contains ASCII, whatever it says (as in the HTML standard).
    charset::labelled(&label[..end]).filter(|found| found.is_ascii_compatible())
}

/// What `head` is if it is not text: a media type, or "binary data". Text has zero bytes only if a hint says that it is
/// text.
pub fn not_text(hints: &Hints<'_>, head: &[u8], decompressed: usize, format: Format) -> Option<Cow<'static, str>> {
    // A PDF may come with what a server sent before it.
    let is_pdf = format == Format::Pdf && head.windows(5).any(|window| window == b"%PDF-");
    if is_pdf || format == Format::Rtf || charset::at_once(head, None).is_some() {
        return None;
    }
    // Control characters that no text has. Logs and manual pages have escape, form feed and backspace.
    let odd = |byte: &&u8| matches!(**byte, 0..=7 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f);
    // One in a hundred, as a log with stray bytes has, or a few in a short one.
    let odd = head.iter().filter(odd).count();
    let mostly_text = odd * 100 <= head.len();
    let zero = head.contains(&0);
    if mostly_text && !zero {
        return None;
    }
    // Not before: a text may start with the letters of a magic number, such as "BM".
    let known = infer::get(head);
    let hinted = by_name(hints.key, decompressed).is_some()
        || hints.content_type.map(essence).as_deref().and_then(by_content_type).is_some();
    if known.is_none() && hinted && (mostly_text || odd <= STRAY) {
        return None;
    }
    Some(known.map_or(Cow::Borrowed("binary data"), |kind| kind.mime_type().into()))
}

fn is_pdf(head: &[u8]) -> bool {
    head[..head.len().min(PDF_HEADER_WITHIN)].windows(5).any(|window| window == b"%PDF-") && {
        // In a text about PDF other text comes before it; in a PDF nothing, a mark or binary data.
        let at = head.windows(5).position(|window| window == b"%PDF-").unwrap_or_default();
        head[..at].iter().all(u8::is_ascii_whitespace) || head.starts_with(&[0xef, 0xbb, 0xbf]) || head.contains(&0)
    }
}

/// A file in which others lie, so that its first bytes do not say what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// A zip file that may be an office document or an e-book.
    Zip,
    /// What Office wrote before 2007.
    Ole,
}

/// The container that the document is; `None` for other zip files, which need not be held to know that they are no
/// documents.
pub fn container(hints: &Hints<'_>, head: &[u8], decompressed: usize) -> Option<Container> {
    match head {
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Some(Container::Ole),
        [b'P', b'K', 3, 4, ..] if is_package(head) || claims_package(hints, decompressed) => Some(Container::Zip),
        _ => None,
    }
}

/// Whether a zip file's first entry is one that office documents and e-books begin with.
fn is_package(head: &[u8]) -> bool {
    let length = head.get(26..28).map_or(0, |length| usize::from(u16::from_le_bytes([length[0], length[1]])));
    let name = String::from_utf8_lossy(head.get(30..30 + length).unwrap_or_default()).replace('\\', "/");
    let folders = ["_rels/", "docProps/", "word/", "xl/", "ppt/", "customXml/", "META-INF/", "OEBPS/", "OPS/"];
    let files = ["[Content_Types].xml", "mimetype", "content.xml", "meta.xml", "styles.xml"];
    // What programs in Java are packed in.
    name != "META-INF/"
        && name != "META-INF/MANIFEST.MF"
        && (files.contains(&name.as_str()) || folders.iter().any(|folder| name.starts_with(folder)))
}

/// Whether the name or the content type is that of an office document or e-book.
fn claims_package(hints: &Hints<'_>, decompressed: usize) -> bool {
    const EXTENSIONS: [&str; 22] = [
        "docx", "docm", "dotx", "dotm", "pptx", "pptm", "ppsx", "ppsm", "potx", "potm", "xlsx", "xlsm", "xltx", "xltm",
        "xlsb", "odt", "ott", "ods", "ots", "odp", "otp", "epub",
    ];
    let essence = hints.content_type.map(essence).unwrap_or_default();
    let declared = ["application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument."];
    declared.iter().any(|start| essence.starts_with(start))
        || essence == "application/epub+zip"
        || extension(hints.key, decompressed).is_some_and(|found| EXTENSIONS.contains(&found.as_str()))
}

fn is_rtf(head: &[u8]) -> bool {
    head.trim_ascii_start().starts_with(b"{\\rtf")
}

/// Mail as servers store it, often under names that say nothing: some of the headers that every mail has, and none
/// that no mail has.
fn is_mail(head: &str) -> bool {
    const HEADERS: [&str; 8] =
        ["from:", "to:", "date:", "subject:", "message-id:", "mime-version:", "received:", "return-path:"];
    let mut found = HashSet::new();
    for line in head.lines() {
        if line.starts_with([' ', '\t']) && !found.is_empty() {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { break };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            break;
        }
        let name = format!("{}:", name.to_ascii_lowercase());
        found.extend(HEADERS.into_iter().find(|header| *header == name));
    }
    found.contains("from:") && found.len() >= 3
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn by_content_type(essence: &str) -> Option<Format> {
    Some(match essence {
        "text/plain" => Format::Text,
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "application/json" | "text/json" => Format::Json,
        "application/x-ndjson"
        | "application/ndjson"
        | "application/jsonl"
        | "application/x-jsonlines"
        | "application/jsonlines"
        | "application/json-lines" => Format::JsonLines,
        "text/csv" | "application/csv" => Format::Csv,
        "text/tab-separated-values" => Format::Tsv,
        "application/pdf" | "application/x-pdf" => Format::Pdf,
        "message/rfc822" | "message/global" => Format::Eml,
        "application/xml" | "text/xml" => Format::Xml,
        other if other.ends_with("+json") => Format::Json,
        other if other.ends_with("+xml") => Format::Xml,
        _ => return None,
    })
}

/// The extension in lower case, of what is under as many layers of compression as were undone.
fn extension(key: &str, mut decompressed: usize) -> Option<String> {
    let mut name = key.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    while decompressed > 0 {
        let Some(inner) =
            [".gz", ".gzip", ".zst", ".zstd", ".br"].iter().find_map(|compressed| name.strip_suffix(compressed))
        else {
            break;
        };
        name = inner.to_owned();
        decompressed -= 1;
    }
    Some(name.rsplit_once('.')?.1.to_owned())
}

fn by_name(key: &str, decompressed: usize) -> Option<Format> {
    Some(match extension(key, decompressed)?.as_str() {
        "txt" | "text" | "log" | "rst" | "adoc" | "tex" | "org" => Format::Text,
        "md" | "markdown" | "mdown" | "mkd" => Format::Markdown,
        "html" | "htm" | "xhtml" => Format::Html,
        "json" | "geojson" => Format::Json,
        "jsonl" | "ndjson" => Format::JsonLines,
        "csv" => Format::Csv,
        "tsv" | "tab" => Format::Tsv,
        "pdf" => Format::Pdf,
        "eml" | "mht" | "mhtml" => Format::Eml,
        "xml" | "svg" | "svgz" | "rss" | "atom" => Format::Xml,
        _ => return None,
    })
}

/// HTML, XML, JSON and mail are known by their start. Markdown and CSV are plain text unless a hint names them.
fn by_content(head: &[u8]) -> Format {
    let head = String::from_utf8_lossy(head.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(head));
    let text = head.trim_start();
    let lower = text.get(..text.floor_char_boundary(64)).unwrap_or_default().to_ascii_lowercase();
    if ["<!doctype html", "<html", "<head", "<body"].iter().any(|start| lower.starts_with(start)) {
        return Format::Html;
    }
    if lower.starts_with("<?xml") || root(text.as_bytes()).is_some_and(|root| matches!(root, "svg" | "rss" | "feed")) {
        return Format::Xml;
    }
    if is_mail(text) {
        return Format::Eml;
    }
    if !text.starts_with(['{', '[']) {
        return Format::Text;
    }
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default();
    if first.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok() {
        return if lines.next().is_some_and(|second| second.starts_with('{')) {
            Format::JsonLines
        } else {
            Format::Json
        };
    }
    // The start of a longer JSON text is valid up to its end.
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Format::Json,
        Err(e) if e.is_eof() => Format::Json,
        Err(_) => Format::Text,
    }
}
