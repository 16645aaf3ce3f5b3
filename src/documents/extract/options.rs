//! What a caller chooses of how documents are read.

use super::pdf::PdfReader;

/// What a document may cost, and where text lies in formats that have fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractOptions {
    /// What of a record of JSON or JSON Lines is its text.
    pub record_text: RecordText,
    /// The column of CSV and TSV that holds the text, by its name in the first line; `None`: the whole row is the text.
    pub text_column: Option<String>,
    /// Whether navigation, headers, footers and asides of web pages are read.
    pub html_boilerplate: bool,
    /// Bytes that an object may have once it is decompressed.
    pub max_decompressed_bytes: u64,
    /// Bytes of a format that has to be held whole (PDF, office documents, e-books, mail).
    pub max_whole_bytes: u64,
    /// Bytes of one record: a line of JSON Lines, an element of a JSON array, a row of CSV; and of an HTML
    /// document's text between two tags.
    pub max_record_bytes: u64,
    /// Memory that reading a PDF may take, beyond the document itself.
    pub max_pdf_memory_bytes: u64,
    /// What reads PDFs, in a process of their own; `None`: they are not read.
    pub pdf_reader: Option<PdfReader>,
}

impl Default for ExtractOptions {
    fn default() -> Self {
        Self {
            record_text: RecordText::Usual,
            text_column: None,
            html_boilerplate: true,
            max_decompressed_bytes: 4 << 30,
            max_whole_bytes: 32 << 20,
            max_record_bytes: 8 << 20,
            max_pdf_memory_bytes: 256 << 20,
            pdf_reader: None,
        }
    }
}

/// What of a JSON record is its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordText {
    /// Its `text`, `content` or `body`, the first that has text, else all its values.
    Usual,
    /// All its values, `name: value` a line.
    Values,
    /// What this JSON Pointer (RFC 6901) leads to; `""` is the record itself.
    At(String),
}
