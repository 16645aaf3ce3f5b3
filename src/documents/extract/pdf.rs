//! PDF: the text of each page, read in a process of its own.
//!
//! ```text
//! function  -- document -->  bootstrap read-pdf (limits on memory and CPU time)
//!           <-- one line of JSON a page, and a last one --
//! ```
//!
//! The PDF library panics on many files, recurses into forms that draw themselves until the stack overflows, and
//! decompresses streams without a limit. This process could catch only the panic; when a child dies, one document is
//! lost. A panic within a page costs that page only.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use pdf_extract::{Document, Error as PdfError, LoadOptions, Object, ObjectId, PlainTextOutput, output_doc_page};
use serde::{Deserialize, Serialize};

use super::decompress::{Limited, Verdict};
use super::sections::{Out, Stop};
use super::{ExtractOptions, Skip, Unreadable};
use crate::record::Place;

/// The command of this binary that reads a PDF.
pub const COMMAND: &str = "read-pdf";

/// Seconds of CPU time for one document: thousands of pages, or an endless loop cut short.
const CPU_SECONDS: u64 = 120;

/// Stack of the thread that parses: forms may be nested hundreds deep.
const STACK: usize = 64 << 20;

/// What the child writes, one a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum PdfMessage {
    Page { number: u32, text: String },
    Unreadable { number: u32, why: String },
    Encrypted,
    Broken { why: String },
    End,
}

/// Emits a section a page.
pub fn read(input: impl Read, options: &ExtractOptions, verdict: &Verdict, out: &mut Out<'_>) -> Result<(), Stop> {
    let (mut limited, _) = Limited::new(input, options.max_whole_bytes, "a PDF", verdict);
    let Some(binary) = &options.pdf_reader else {
        let mut document = Vec::new();
        limited.read_to_end(&mut document)?;
        let mut stop = None;
        pages(&document, &mut |line| {
            let outcome = handle(line, out);
            let going_on = outcome.is_ok();
            stop = outcome.err();
            going_on
        });
        return stop.map_or(Ok(()), Err);
    };
    let mut reader = Reader::start(binary, options)?;
    reader.feed(&mut limited)?;
    let Some(answer) = reader.0.stdout.take() else { return Err(Stop::Read(io::ErrorKind::BrokenPipe.into())) };
    for line in BufReader::new(answer).lines() {
        match serde_json::from_str(&line?) {
            Ok(PdfMessage::End) => return Ok(()),
            Ok(line) => handle(line, out)?,
            Err(_) => break,
        }
    }
    let status = reader.0.wait()?;
    let memory = options.max_pdf_memory_bytes;
    let why = format!(
        "its reader ended early ({status}): the PDF is damaged, or needs more than {memory} bytes of memory or \
         {CPU_SECONDS} seconds"
    );
    Err(Unreadable::Broken(why).into())
}

fn handle(line: PdfMessage, out: &mut Out<'_>) -> Result<(), Stop> {
    match line {
        PdfMessage::Page { number, text } => {
            out.part(&tidy(&text), &Place { page: Some(number), ..Place::default() })?;
        }
        PdfMessage::Unreadable { number, why } => {
            out.skipped_records.add(format_args!("page {number}"), "unreadable", &why);
        }
        PdfMessage::Encrypted => return Err(Unreadable::skipped(Skip::Encrypted, "it needs a password").into()),
        PdfMessage::Broken { why } => {
            return Err(Unreadable::Broken(format!("it is not a PDF that can be read: {why}")).into());
        }
        PdfMessage::End => {}
    }
    Ok(())
}

/// The child process; it is killed when this is dropped.
struct Reader(Child);

impl Reader {
    fn start(binary: &Path, options: &ExtractOptions) -> io::Result<Self> {
        let memory = options.max_pdf_memory_bytes + options.max_whole_bytes + STACK as u64;
        let child = Command::new(binary)
            .args([COMMAND, "--memory", &memory.to_string()])
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
    fn feed(&mut self, document: &mut impl Read) -> io::Result<()> {
        let Some(mut into) = self.0.stdin.take() else { return Ok(()) };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = document.read(&mut buffer)?;
            match into.write_all(&buffer[..read]) {
                Ok(()) if read > 0 => {}
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                Err(e) => return Err(e),
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The child's work: a PDF on standard input, lines on standard output.
///
/// # Errors
/// Limits that cannot be set, a pipe that is closed.
pub fn serve(memory: u64) -> io::Result<()> {
    // Writable private memory, as `malloc` gets it; the program itself and its libraries do not count.
    rlimit::setrlimit(rlimit::Resource::DATA, memory, memory)?;
    rlimit::setrlimit(rlimit::Resource::CPU, CPU_SECONDS, CPU_SECONDS)?;
    rlimit::setrlimit(rlimit::Resource::CORE, 0, 0)?;
    std::panic::set_hook(Box::new(|_| ()));
    let mut document = Vec::new();
    io::stdin().read_to_end(&mut document)?;
    let work = move || {
        let mut stdout = BufWriter::new(io::stdout());
        let mut outcome = Ok(());
        let mut say = |line: PdfMessage| {
            outcome = serde_json::to_writer(&mut stdout, &line)
                .map_err(io::Error::from)
                .and_then(|()| stdout.write_all(b"\n"))
                .and_then(|()| stdout.flush());
            outcome.is_ok()
        };
        if pages(&document, &mut say) {
            say(PdfMessage::End);
        }
        outcome
    };
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(work)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the reader panicked")))
}

/// Reads `document` page by page and says each, until `say` wants no more; whether it came to the end.
fn pages(document: &[u8], say: &mut dyn FnMut(PdfMessage) -> bool) -> bool {
    let document = match catch_unwind(|| load(document)) {
        Ok(Ok(document)) => Ok(document),
        Ok(Err(line)) => Err(line),
        Err(_) => Err(PdfMessage::Broken { why: "its parser panicked".to_owned() }),
    };
    let document = match document {
        Ok(document) => document,
        Err(line) => {
            say(line);
            return false;
        }
    };
    let numbers: Vec<u32> = document.get_pages().into_keys().collect();
    numbers.into_iter().all(|number| {
        let mut text = String::new();
        let page = AssertUnwindSafe(|| output_doc_page(&document, &mut PlainTextOutput::new(&mut text), number));
        say(match catch_unwind(page) {
            Ok(Ok(())) => PdfMessage::Page { number, text },
            Ok(Err(e)) => PdfMessage::Unreadable { number, why: e.to_string() },
            Err(_) => PdfMessage::Unreadable { number, why: "its parser panicked".to_owned() },
        })
    })
}

fn load(document: &[u8]) -> Result<Document, PdfMessage> {
    let options = LoadOptions { filter: Some(without_image), ..LoadOptions::default() };
    let locked = |e: &PdfError| matches!(e, PdfError::InvalidPassword | PdfError::Decryption(_));
    let read = Document::load_mem_with_options(document, options);
    let mut document = read.map_err(|e| match locked(&e) {
        true => PdfMessage::Encrypted,
        false => PdfMessage::Broken { why: e.to_string() },
    })?;
    // Many are encrypted with no password, only to say that they may not be printed.
    if document.is_encrypted() && document.decrypt("").is_err() {
        return Err(PdfMessage::Encrypted);
    }
    Ok(document)
}

/// Empties images, which are most of a PDF's bytes and hold no text.
fn without_image(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    let Object::Stream(stream) = object else { return Some((id, object.clone())) };
    if stream.dict.get(b"Subtype").and_then(Object::as_name).is_ok_and(|name| name == b"Image") {
        stream.set_plain_content(Vec::new());
    }
    // For a stream the loader keeps the changes in place and ignores what is returned.
    Some((id, Object::Null))
}

/// Trims lines, and leaves at most one blank line between two.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut blank = false;
    for line in text.lines().map(str::trim) {
        if line.is_empty() {
            blank = !tidied.is_empty();
            continue;
        }
        if !tidied.is_empty() {
            tidied.push_str(if blank { "\n\n" } else { "\n" });
        }
        tidied.push_str(line);
        blank = false;
    }
    tidied
}
