//! Office documents and e-books: zip files with XML in them.
//!
//! ```text
//! bytes, held whole -> Package (limits) -> which format? -> its reader -> Blocks -> Section, …
//! ```
//!
//! Other people's spreadsheet libraries hold a sheet whole, or all texts of a workbook without a limit; here every part
//! streams through [`Package::walk`], and what has to be held is bounded.

mod docx;
mod epub;
mod number_format;
pub mod ole;
mod opendocument;
mod package;
mod pptx;
pub mod properties;
mod relations;
mod word_styles;
mod xlsx;

use super::decompress::{Totals, Verdict};
use super::sections::{Out, Stop};
use super::xml::{Element, Visit, Visitor};
use super::{ExtractOptions, Format, Skip, Unreadable};
pub use package::Package;
use properties::Source;
use relations::Relations;

/// A package whose format is known.
pub struct Document<'d> {
    package: Package<'d>,
    pub format: Format,
    /// The part with the text, or the one that leads to it.
    main: String,
}

/// Opens a package and finds what it is.
///
/// # Errors
/// [`Skip::NotText`] for a zip file that is no document.
pub fn open<'d>(
    bytes: &'d [u8],
    options: &'d ExtractOptions,
    totals: &Totals,
    verdict: &Verdict,
) -> Result<Document<'d>, Stop> {
    let mut package = Package::open(bytes, options, totals, verdict)?;
    let not_read = |what: String| Unreadable::skipped(Skip::NotText, format!("it is not text but {what}")).into();
    if let Some(mimetype) = package.bytes("mimetype")? {
        let mimetype = String::from_utf8_lossy(&mimetype).trim().to_owned();
        if mimetype == "application/epub+zip" {
            return Ok(Document { main: epub::book(&mut package)?, package, format: Format::Epub });
        }
        let Some(format) = opendocument::format(&mimetype) else { return Err(not_read(mimetype)) };
        return Ok(Document { package, format, main: "content.xml".to_owned() });
    }
    if let Some(main) = Relations::of(&mut package, "")?.target("officeDocument") {
        let main = main.to_owned();
        let content_type = content_type(&mut package, &main)?;
        let is = |words: [&str; 3]| words.iter().any(|word| content_type.contains(word) || main.starts_with(word));
        let format = if content_type.contains("sheet.binary") {
            let reason = "it is a binary Excel workbook (xlsb), which is not read: save it as xlsx";
            return Err(Unreadable::skipped(Skip::NotText, reason).into());
        } else if is(["wordprocessingml", "ms-word", "word/"]) {
            Format::Docx
        } else if is(["presentationml", "ms-powerpoint", "ppt/"]) {
            Format::Pptx
        } else if is(["spreadsheetml", "ms-excel", "xl/"]) {
            Format::Xlsx
        } else {
            return Err(not_read(content_type));
        };
        return Ok(Document { package, format, main });
    }
    if package.has("META-INF/container.xml") {
        return Ok(Document { main: epub::book(&mut package)?, package, format: Format::Epub });
    }
    Err(not_read("application/zip".to_owned()))
}

impl Document<'_> {
    /// Emits the document's sections.
    pub fn read(mut self, out: &mut Out<'_>) -> Result<(), Stop> {
        let source = match self.format {
            Format::Epub => Source { part: &self.main, author: &["creator"], modified: &["modified", "date"] },
            Format::Odt | Format::Ods | Format::Odp => {
                Source { part: "meta.xml", author: &["initial-creator", "creator"], modified: &["date"] }
            }
            _ => Source { part: "docProps/core.xml", author: &["creator", "lastModifiedBy"], modified: &["modified"] },
        };
        let place = properties::place(properties::read(&mut self.package, &source));
        let (package, main) = (&mut self.package, self.main.as_str());
        match self.format {
            Format::Docx => docx::read(package, main, &place, out),
            Format::Pptx => pptx::read(package, main, &place, out),
            Format::Xlsx => xlsx::read(package, main, &place, out),
            Format::Epub => epub::read(package, main, &place, out),
            format => opendocument::read(package, format, &place, out),
        }
    }
}

/// Skips all but one of the alternatives that a document offers to older and newer readers.
#[derive(Default)]
pub struct Alternates(
    /// For each open choice, whether an alternative was taken.
    Vec<bool>,
);

impl Alternates {
    /// What to do with an element that belongs to a choice; `None` for all others.
    fn start(&mut self, name: &str) -> Option<Visit> {
        match name {
            "AlternateContent" => self.0.push(false),
            "Choice" | "Fallback" => {
                let taken = self.0.last_mut()?;
                if std::mem::replace(taken, true) {
                    return Some(Visit::Past);
                }
            }
            _ => return None,
        }
        Some(Visit::Into)
    }

    fn end(&mut self, name: &str) {
        if name == "AlternateContent" {
            self.0.pop();
        }
    }
}

/// The content type of the part called `name`, in lower case; empty where the package does not state it.
fn content_type(package: &mut Package<'_>, name: &str) -> Result<String, Stop> {
    struct Types {
        part: String,
        found: String,
    }
    impl Visitor for Types {
        fn start(&mut self, element: &Element<'_>) -> Result<Visit, Stop> {
            if element.attribute("PartName").is_some_and(|part| part.to_lowercase() == self.part) {
                self.found = element.attribute("ContentType").unwrap_or_default().to_lowercase();
            }
            Ok(Visit::Into)
        }
    }
    let mut types = Types { part: format!("/{}", name.to_lowercase()), found: String::new() };
    package.walk_small("[Content_Types].xml", &mut types)?;
    Ok(types.found)
}
