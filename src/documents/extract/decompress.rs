//! The object's bytes before they are text: decompressed, within limits, and with the cause of a failed read.

use std::cell::{Cell, RefCell};
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use brotli_decompressor::Decompressor;
use flate2::read::MultiGzDecoder;

use super::zstd::ZstdReader;
use super::{Skip, Unreadable};

/// Bytes looked at to tell what an object is.
pub const SNIFFED: usize = 8 * 1024;

/// Text compresses to a third or a quarter, repetitive logs to a fiftieth; what exceeds this ratio is a bomb.
pub const MAX_COMPRESSION_RATIO: u64 = 100;

/// Decompressed bytes of a bomb at least: a short run of spaces compresses further than any text.
pub const BOMB_AT_LEAST: u64 = 16 << 20;

/// Layers of compression: one for storage, one more for the way there.
const LAYERS: usize = 2;

/// Compressed bytes that the Brotli decoder reads at once.
const BROTLI_BUFFER: usize = 4096;

/// Why reading ended early. It is kept beside the readers, because parsers hide the error that a reader gives them.
#[derive(Clone, Default)]
pub struct Verdict(Rc<RefCell<Option<Unreadable>>>);

impl Verdict {
    /// Keeps `why`, and makes an error for the parser that reads.
    pub fn pronounce(&self, why: Unreadable) -> io::Error {
        let error = io::Error::other(why.to_string());
        *self.0.borrow_mut() = Some(why);
        error
    }

    /// Forgets the reason: what it ended is not needed.
    pub fn forget(&self) {
        self.0.take();
    }

    /// The reason that was kept; without one the document is broken, as `error` says.
    pub fn or_broken(&self, error: impl std::fmt::Display) -> Unreadable {
        self.0.take().unwrap_or_else(|| Unreadable::Broken(error.to_string()))
    }
}

/// What the documents in one another decompress to, all together: else a bomb may hold a hundred others.
#[derive(Clone, Default)]
pub struct Totals(Rc<TotalBytes>);

#[derive(Default)]
struct TotalBytes {
    decompressed: Cell<u64>,
    /// Bytes of the outermost document, once it is held.
    outermost: Cell<u64>,
}

impl Totals {
    /// The outermost document has so many bytes; of those in it nothing changes.
    pub fn within(&self, bytes: u64) {
        if self.0.outermost.get() == 0 {
            self.0.outermost.set(bytes);
        }
    }

    /// Counts `bytes` more. Whether they are as few as the outermost document's size allows.
    pub fn add(&self, bytes: u64) -> bool {
        let decompressed = self.0.decompressed.get() + bytes;
        self.0.decompressed.set(decompressed);
        let outermost = self.0.outermost.get();
        outermost == 0 || decompressed <= BOMB_AT_LEAST || decompressed / MAX_COMPRESSION_RATIO <= outermost
    }
}

/// A reader whose first bytes were read, and are read again.
pub type Peeked<'a> = io::Chain<Cursor<Vec<u8>>, Box<dyn Read + 'a>>;

/// The object decompressed, with its first bytes.
pub struct Opened<'a> {
    pub bytes: Peeked<'a>,
    /// The first [`SNIFFED`] of them, or all there are.
    pub head: Vec<u8>,
    /// How many compressions were undone.
    pub decompressed: usize,
}

/// Decompresses gzip, zstd and, where `brotli` says that the object is stored so, Brotli. The first bytes decide: names
/// and headers may be wrong, and a client on the way may have decompressed the object. Brotli has no magic number.
pub fn open<'a>(
    input: impl Read + 'a,
    brotli: bool,
    max_decompressed: u64,
    totals: &Totals,
    verdict: &Verdict,
) -> Result<Opened<'a>, Unreadable> {
    let compressed = Rc::new(Cell::new(0));
    let mut bytes = original(input, &compressed, verdict);
    let mut decompressed = 0;
    loop {
        let (head, peeked) = peek(bytes, SNIFFED as u64).map_err(|e| verdict.or_broken(e))?;
        let is_brotli = || brotli && decompressed == 0 && Compression::begins_brotli(&head);
        let Some(compression) = Compression::of(&head).or_else(|| is_brotli().then_some(Compression::Brotli)) else {
            return Ok(Opened { bytes: peeked, head, decompressed });
        };
        if decompressed == LAYERS {
            return Err(Unreadable::skipped(Skip::NotText, format!("it is compressed more than {LAYERS} times over")));
        }
        decompressed += 1;
        let start = peek(Box::new(peeked), BOMB_AT_LEAST / MAX_COMPRESSION_RATIO);
        let (start, peeked) = start.map_err(|e| verdict.or_broken(e))?;
        if compression.is_bomb(&start) {
            return Err(bomb());
        }
        let (inner, compressed) = (compression.reader(peeked), Rc::clone(&compressed));
        let (totals, verdict) = (totals.clone(), verdict.clone());
        bytes = Box::new(Decompressed { inner, count: 0, compressed, max_decompressed, totals, verdict });
    }
}

/// The input from a cursor on, which exists for uncompressed objects only.
pub fn resume<'a>(input: impl Read + 'a, verdict: &Verdict) -> Peeked<'a> {
    Cursor::new(Vec::new()).chain(original(input, &Rc::default(), verdict))
}

fn original<'a>(inner: impl Read + 'a, count: &Rc<Cell<u64>>, verdict: &Verdict) -> Box<dyn Read + 'a> {
    Box::new(Original { inner, count: Rc::clone(count), verdict: verdict.clone() })
}

fn peek<'a>(mut bytes: Box<dyn Read + 'a>, length: u64) -> io::Result<(Vec<u8>, Peeked<'a>)> {
    let mut head = Vec::with_capacity(length as usize);
    bytes.by_ref().take(length).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(bytes)))
}

/// The end of bytes that were cut off, which Brotli's decoder takes for invalid data if it is a plain end.
struct CutOff;

impl Read for CutOff {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

#[derive(Clone, Copy)]
enum Compression {
    Gzip,
    Zstd,
    Brotli,
}

impl Compression {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Whether `head`, an object's first bytes, is no text and can be decompressed to its end.
    fn begins_brotli(head: &[u8]) -> bool {
        let text = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let is_control = |c: char| c.is_control() && !c.is_ascii_whitespace();
        if text.len() + 3 >= head.len() && !text.contains(is_control) {
            return false;
        }
        let mut decompressed = Decompressor::new(head.chain(CutOff), BROTLI_BUFFER).take(SNIFFED as u64);
        match io::copy(&mut decompressed, &mut io::sink()) {
            Ok(count) => count > 0,
            Err(e) => e.kind() == io::ErrorKind::UnexpectedEof && head.len() == SNIFFED,
        }
    }

    /// Whether the first compressed bytes alone are a bomb, which is better known before any of it is embedded.
    fn is_bomb(self, start: &[u8]) -> bool {
        let mut reader = self.reader(Cursor::new(start.to_vec()).chain(Box::new(io::empty())));
        let (mut count, mut buffer) = (0, vec![0; 64 * 1024]);
        // An error is only the end of `start`, which cuts the document off.
        while let Ok(read @ 1..) = reader.read(&mut buffer) {
            count += read as u64;
            if count > BOMB_AT_LEAST {
                return true;
            }
        }
        false
    }

    fn reader<'a>(self, compressed: Peeked<'a>) -> Box<dyn Read + 'a> {
        match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(compressed)),
            Self::Brotli => Box::new(Decompressor::new(compressed, BROTLI_BUFFER)),
            Self::Zstd => Box::new(ZstdReader::new(compressed)),
        }
    }
}

pub fn bomb() -> Unreadable {
    let reason = format!("it decompresses to more than {MAX_COMPRESSION_RATIO} times its size, as no text does");
    Unreadable::skipped(Skip::DecompressionBomb, reason)
}

/// The object as it is stored: counts the bytes, and marks errors as worth a retry.
struct Original<R> {
    inner: R,
    count: Rc<Cell<u64>>,
    verdict: Verdict,
}

impl<R: Read> Read for Original<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(into) {
            Ok(read) => {
                self.count.set(self.count.get() + read as u64);
                Ok(read)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => Err(self.verdict.pronounce(Unreadable::Input(e))),
        }
    }
}

/// Decompressed bytes, within limits.
struct Decompressed<R> {
    inner: R,
    count: u64,
    compressed: Rc<Cell<u64>>,
    max_decompressed: u64,
    totals: Totals,
    verdict: Verdict,
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.count += read as u64;
        let why = if self.count > self.max_decompressed {
            Unreadable::skipped(
                Skip::TooLarge,
                format!("it decompresses to more than {} bytes, the limit", self.max_decompressed),
            )
        } else if !self.totals.add(read as u64)
            || (self.count > BOMB_AT_LEAST && self.count / MAX_COMPRESSION_RATIO > self.compressed.get())
        {
            bomb()
        } else {
            return Ok(read);
        };
        Err(self.verdict.pronounce(why))
    }
}

/// Fails once more than `limit` bytes were read since the last [`renew`](Allowance::renew). This bounds the memory of
/// a parser that keeps its input.
pub struct Limited<R> {
    inner: R,
    used: Rc<Cell<u64>>,
    limit: u64,
    what: &'static str,
    verdict: Verdict,
}

/// Renews the limit of a [`Limited`] that a parser owns.
pub struct Allowance(Rc<Cell<u64>>);

impl Allowance {
    pub fn renew(&self) {
        self.0.set(0);
    }
}

impl<R: Read> Limited<R> {
    /// `what` is the subject of the error message: "a record", "a row".
    pub fn new(inner: R, limit: u64, what: &'static str, verdict: &Verdict) -> (Self, Allowance) {
        let used = Rc::new(Cell::new(0));
        (Self { inner, used: Rc::clone(&used), limit, what, verdict: verdict.clone() }, Allowance(used))
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.used.set(self.used.get() + read as u64);
        if self.used.get() > self.limit {
            let reason = format!("{} is larger than {} bytes, the limit", self.what, self.limit);
            return Err(self.verdict.pronounce(Unreadable::skipped(Skip::TooLarge, reason)));
        }
        Ok(read)
    }
}
