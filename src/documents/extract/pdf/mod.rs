//! PDF: the text of each page, read by PDFium in a process of its own.
//!
//! ```text
//! function  -- document -->  bootstrap read-pdf (limits on memory and CPU time; PDFium is loaded there)
//!           <-- a line of JSON a page, and a last one --
//! ```
//!
//! PDFium is a C++ library that Chrome runs in a sandbox. When a child dies, one page is lost: a new child goes on at
//! the page where the last one ended, and if it dies at this very page, at the one after it.

mod child;
pub mod layout;
mod pdfium;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

pub use self::child::serve;
use self::child::{PAGE_SECONDS, PdfMessage, STACK};
use super::decompress::{Limited, Verdict};
use super::nested::Nesting;
use super::sections::{Out, Stop};
use super::{ExtractOptions, Format, Section, Skip, Unreadable};
use crate::record::Place;

/// The command of this binary that reads a PDF.
pub const COMMAND: &str = "read-pdf";

/// Seconds of CPU time for one document.
const SECONDS: u64 = 300;

/// Pages at which children may die before the document counts as broken.
const DEATHS: u32 = 5;

/// Where a PDF's end has to state itself; Acrobat allows this much after it, and writers append more.
const END_WITHIN: usize = 4096;

/// The programs that read PDFs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PdfReader {
    /// This program's own file, which is started again.
    pub program: PathBuf,
    /// PDFium's library.
    pub library: PathBuf,
}

impl PdfReader {
    /// Loads the library in a process of its own, as reading does.
    ///
    /// # Errors
    /// Why PDFs cannot be read.
    pub fn check(&self) -> Result<(), String> {
        let mut emit = |_: Section| ControlFlow::Continue(());
        let options = ExtractOptions { pdf_reader: Some(self.clone()), ..ExtractOptions::default() };
        // What is no PDF is refused by the library, once it is loaded.
        let mut out = Out::new(&mut emit, Format::Pdf, None, Nesting::default());
        match read(io::empty(), &options, &Verdict::default(), &mut out) {
            Err(Stop::Unreadable(Unreadable::NoReader(reason))) => Err(reason),
            Err(Stop::Read(error)) => Err(format!("{} cannot be started: {error}", self.program.display())),
            _ => Ok(()),
        }
    }
}

/// Emits a section a page.
pub fn read(input: impl Read, options: &ExtractOptions, verdict: &Verdict, out: &mut Out<'_>) -> Result<(), Stop> {
    let (mut limited, _) = Limited::new(input, options.max_whole_bytes, "a PDF", verdict);
    let mut document = Vec::new();
    limited.read_to_end(&mut document)?;
    let reader = options.pdf_reader.as_ref().filter(|reader| reader.library.is_file()).ok_or_else(|| {
        let library = options.pdf_reader.as_ref().map(|reader| reader.library.display().to_string());
        Unreadable::NoReader(format!(
            "PDFium's library, which reads PDFs, is not at {}; pack it with `make package`, or point EMBED_PDFIUM_LIB \
             at it",
            library.unwrap_or_else(|| "any place".to_owned())
        ))
    })?;
    let mut reading =
        Reading { out, found: Found::default(), next: 1, count: None, seconds: 0, deaths: 0, ended: false };
    while reading.goes_on() {
        reading.run_child(reader, &document, options)?;
    }
    reading.end(&document);
    Ok(())
}

/// A document that is being read, by one child after another.
struct Reading<'a, 'b> {
    out: &'a mut Out<'b>,
    found: Found,
    /// The page that is read next, from 1.
    next: u32,
    /// `None` until a child has opened the document.
    count: Option<u32>,
    /// CPU time spent.
    seconds: u64,
    deaths: u32,
    /// Whether a child has read the last page.
    ended: bool,
}

/// Pages by what they hold.
#[derive(Default)]
struct Found {
    texts: u32,
    images: u32,
    drawings: u32,
    unreadable: u32,
}

impl Reading<'_, '_> {
    fn goes_on(&self) -> bool {
        !self.ended && self.count.is_none_or(|count| self.next <= count)
    }

    /// Reads pages from `next` on, until the last one or the child's death. A child that read some may have died of what
    /// PDFium keeps of them.
    fn run_child(&mut self, reader: &PdfReader, document: &[u8], options: &ExtractOptions) -> Result<(), Stop> {
        let (first, before) = (self.next, self.seconds);
        let mut child = Running::start(reader, options, first)?;
        child.feed(document)?;
        let mut lines = child.lines(options)?;
        while let Some(message) = lines.next()? {
            match message {
                PdfMessage::NoLibrary { why } => {
                    let path = reader.library.display();
                    let reason = format!("PDFium's library at {path} cannot be loaded: {why}; see EMBED_PDFIUM_LIB");
                    return Err(Unreadable::NoReader(reason).into());
                }
                PdfMessage::Encrypted => return Err(Unreadable::skipped(Skip::Encrypted, "it needs a password").into()),
                PdfMessage::Broken { why } => {
                    return Err(Unreadable::Broken(format!("it is not a PDF that can be read: {why}")).into());
                }
                PdfMessage::Pages { count } => self.count = Some(count),
                PdfMessage::Spent { seconds } if before + seconds > SECONDS => {
                    return Err(Unreadable::Broken(format!("it takes more than {SECONDS} seconds to read")).into());
                }
                PdfMessage::Spent { seconds } => self.seconds = before + seconds,
                PdfMessage::End => {
                    self.ended = true;
                    return Ok(());
                }
                page => self.page(page)?,
            }
        }
        drop(lines);
        let status = child.0.wait()?;
        let limits = format!(
            "{status}: it is damaged, or needs more than {} bytes of memory or {PAGE_SECONDS} seconds",
            options.max_pdf_memory_bytes
        );
        if self.count.is_none() {
            return Err(Unreadable::Broken(format!("its reader ended early ({limits})")).into());
        }
        if self.next == first {
            self.deaths += 1;
            self.lost("unreadable", &format!("its reader ended early ({limits})"));
            self.found.unreadable += 1;
            self.next += 1;
        }
        if self.deaths > DEATHS {
            return Err(Unreadable::Broken(format!("its reader ended early at {} of its pages", self.deaths)).into());
        }
        Ok(())
    }

    /// Takes a page's message. Pages come one after another, whatever a child says.
    fn page(&mut self, message: PdfMessage) -> Result<(), Stop> {
        let place = Place { page: Some(self.next), ..Place::default() };
        match message {
            PdfMessage::Page { text, .. } => {
                self.found.texts += u32::from(!text.trim().is_empty());
                self.out.part(&text, &place)?;
            }
            PdfMessage::NoText { images: true, .. } => {
                self.found.images += 1;
                self.lost("image_only", "it shows images and no text");
            }
            PdfMessage::NoText { .. } => {
                self.found.drawings += 1;
                self.lost("no_text", "what it draws is no text that can be read");
            }
            _ => {
                self.found.unreadable += 1;
                self.lost("unreadable", "PDFium cannot read it");
            }
        }
        self.next += 1;
        Ok(())
    }

    fn lost(&mut self, kind: &'static str, reason: &str) {
        self.out.skipped_records.add(format_args!("page {}", self.next), kind, reason);
    }

    /// Says what to say of a document without text, and of one that was cut off.
    fn end(&mut self, document: &[u8]) {
        let Found { texts, images, drawings, unreadable } = self.found;
        let count = self.count.unwrap_or_default();
        if texts == 0 {
            let (why, reason) = match (images, unreadable) {
                (1.., 0) => (Skip::ImageOnly, "their text has to be recognised (OCR) before it can be embedded"),
                _ => (Skip::Unreadable, "nothing of it is text that can be read"),
            };
            let pages = format!(
                "it has {count} pages, {images} with images and no text, {drawings} with drawings, {unreadable} that \
                 cannot be read"
            );
            self.out.lost = Some((why, format!("{pages}; {reason}")));
        }
        let end = document.trim_ascii_end();
        let end = end.iter().rposition(|byte| *byte != 0).map_or(end, |last| &end[..=last]);
        if !end[end.len().saturating_sub(END_WITHIN)..].windows(5).any(|window| window == b"%%EOF") {
            let reason = "the file ends in the middle, so that pages may be missing";
            self.out.skipped_records.add(format_args!("the end"), "cut_off", reason);
        }
    }
}

/// A child process; it is killed when this is dropped.
struct Running(Child);

impl Running {
    fn start(reader: &PdfReader, options: &ExtractOptions, first: u32) -> io::Result<Self> {
        let memory = options.max_pdf_memory_bytes + options.max_whole_bytes + STACK as u64;
        let child = Command::new(&reader.program)
            .arg(COMMAND)
            .args(["--memory", &memory.to_string(), "--first", &first.to_string(), "--library"])
            .arg(&reader.library)
            .env_clear()
            // The allocator would reserve a gigabyte at once, which the limit counts.
            .env("MIMALLOC_DISALLOW_ARENA_ALLOC", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// Writes the document to the child. A broken pipe is no error here: the reading of the output finds why it died.
    fn feed(&mut self, document: &[u8]) -> io::Result<()> {
        let Some(mut into) = self.0.stdin.take() else { return Ok(()) };
        match into.write_all(document) {
            Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(e),
            _ => Ok(()),
        }
    }

    /// What the child writes. A line may be as long as a document.
    fn lines(&mut self, options: &ExtractOptions) -> io::Result<Messages> {
        let output = self.0.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Messages { output: BufReader::new(output), longest: options.max_whole_bytes })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Messages {
    output: BufReader<ChildStdout>,
    /// Bytes of a message at most.
    longest: u64,
}

impl Messages {
    /// The next message; `None` where the output ends, or is none of ours.
    fn next(&mut self) -> io::Result<Option<PdfMessage>> {
        let mut line = Vec::new();
        self.output.by_ref().take(self.longest).read_until(b'\n', &mut line)?;
        Ok(serde_json::from_slice(&line).ok())
    }
}
