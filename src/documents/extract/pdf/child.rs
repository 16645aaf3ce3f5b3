//! The child's work: a PDF on standard input, lines of JSON on standard output.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::Path;

use rlimit::{Resource, setrlimit};
use serde::{Deserialize, Serialize};

use super::layout;
use super::pdfium::{Document, OpenError, Pdfium, Shown};

/// Stack of the thread that parses: forms may be nested hundreds deep.
pub const STACK: usize = 64 << 20;

/// Seconds of CPU time for one page: an endless loop, cut short.
pub const PAGE_SECONDS: u64 = 20;

/// Ticks of a second in `/proc/self/stat`; Linux has no other number since 2.6.
const TICKS: u64 = 100;

/// What the child writes, one a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PdfMessage {
    /// The library cannot be loaded.
    NoLibrary {
        why: String,
    },
    Encrypted,
    Broken {
        why: String,
    },
    /// The document is open and has so many pages.
    Pages {
        count: u32,
    },
    Page {
        number: u32,
        text: String,
    },
    /// A page without text shows something else.
    NoText {
        number: u32,
        images: bool,
    },
    Unreadable {
        number: u32,
    },
    /// So many seconds of CPU time were spent so far.
    Spent {
        seconds: u64,
    },
    /// All pages were read.
    End,
}

/// Reads the PDF from its page `first`, from 1, with the library at `library`.
///
/// # Errors
/// Limits that cannot be set, a pipe that is closed.
pub fn serve(library: &Path, memory: u64, first: u32) -> io::Result<()> {
    // Writable private memory, as `malloc` gets it; the program itself and its libraries do not count.
    setrlimit(Resource::DATA, memory, memory)?;
    setrlimit(Resource::CORE, 0, 0)?;
    setrlimit(Resource::FSIZE, 0, 0)?;
    let mut document = Vec::new();
    io::stdin().read_to_end(&mut document)?;
    let library = library.to_owned();
    let work = move || read(&document, &library, first);
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the reader panicked")))
}

fn read(document: &[u8], library: &Path, first: u32) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout());
    let mut say = |message: PdfMessage| -> io::Result<()> {
        serde_json::to_writer(&mut out, &message)?;
        out.write_all(b"\n")?;
        out.flush()
    };
    let mut clock = CpuClock::open()?;
    clock.allow(PAGE_SECONDS)?;
    let pdfium = match Pdfium::load(library) {
        Ok(pdfium) => pdfium,
        Err(why) => return say(PdfMessage::NoLibrary { why }),
    };
    // From here on what a document makes of the library opens neither files nor connections.
    setrlimit(Resource::NOFILE, 0, 0)?;
    let document = match pdfium.open(document) {
        Ok(document) => document,
        Err(OpenError::Encrypted) => return say(PdfMessage::Encrypted),
        Err(OpenError::Broken(code)) => {
            return say(PdfMessage::Broken { why: format!("PDFium does not open it, its code is {code}") });
        }
    };
    let count = document.page_count();
    say(PdfMessage::Pages { count })?;
    let mut spent = 0;
    for number in first..=count {
        clock.allow(PAGE_SECONDS)?;
        say(page(&document, number))?;
        let seconds = clock.seconds()?;
        if seconds > spent {
            spent = seconds;
            say(PdfMessage::Spent { seconds })?;
        }
    }
    say(PdfMessage::End)
}

fn page(document: &Document<'_>, number: u32) -> PdfMessage {
    let Some(page) = document.page(number - 1) else { return PdfMessage::Unreadable { number } };
    let Some(glyphs) = page.glyphs() else { return PdfMessage::Unreadable { number } };
    let text = layout::text(&glyphs, page.fields());
    if text.contains(char::is_alphanumeric) {
        return PdfMessage::Page { number, text };
    }
    match page.shown() {
        Shown { images: false, others: false } => PdfMessage::Page { number, text },
        // Signs alone are what the page says, if it shows nothing but text.
        Shown { images: false, .. } if !text.trim().is_empty() => PdfMessage::Page { number, text },
        Shown { images, .. } => PdfMessage::NoText { number, images },
    }
}

/// The CPU time of this process.
struct CpuClock(File);

impl CpuClock {
    fn open() -> io::Result<Self> {
        File::open("/proc/self/stat").map(Self)
    }

    /// Seconds so far, rounded up.
    fn seconds(&mut self) -> io::Result<u64> {
        self.0.rewind()?;
        let mut stat = String::new();
        self.0.read_to_string(&mut stat)?;
        // The name, in brackets, may hold spaces; user and system time are the 12th and 13th field after it (proc(5)).
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(ticks.div_ceil(TICKS))
    }

    /// Ends the process if it works for `seconds` more.
    fn allow(&mut self, seconds: u64) -> io::Result<()> {
        let limit = self.seconds()? + seconds;
        setrlimit(Resource::CPU, limit, rlimit::INFINITY)
    }
}
