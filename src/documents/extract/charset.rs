//! Bytes in any encoding to UTF-8, as a stream.
//!
//! The first of these decides: a byte-order mark; the bytes themselves (UTF-16 by its zero bytes, UTF-8 by being valid
//! where it is not ASCII); the declared encoding; a guess by `chardetng`, which browsers use. ASCII is passed on
//! undecided, so that the first byte that is not ASCII decides, even after gigabytes. The declared encoding comes after
//! the bytes, because uploaders declare UTF-8 or Latin-1 without looking.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes that decide, from the first one that is not ASCII.
const WINDOW: usize = 64 * 1024;

const READ: usize = 64 * 1024;

/// What is known of the encoding so far.
#[derive(Default)]
pub struct DetectedEncoding {
    encoding: Cell<Option<&'static Encoding>>,
    inexact: Cell<bool>,
}

impl DetectedEncoding {
    /// `None` while all bytes have been ASCII.
    pub fn encoding(&self) -> Option<&'static Encoding> {
        self.encoding.get()
    }

    /// Whether the decoded bytes are the input's bytes, without its byte-order mark.
    pub fn exact(&self) -> bool {
        !self.inexact.get() && self.encoding.get().is_none_or(|found| found == UTF_8)
    }
}

/// The encoding of a WHATWG label, if it can be decoded.
pub fn labelled(label: &str) -> Option<&'static Encoding> {
    Encoding::for_label_no_replacement(label.as_bytes())
}

/// The encoding that `head` proves, or a declared one that does not contain ASCII; with the length of the byte-order
/// mark. `None` leaves the decision to the first byte that is not ASCII.
pub fn at_once(head: &[u8], declared: Option<&'static Encoding>) -> Option<(&'static Encoding, usize)> {
    if let Some(found) = Encoding::for_bom(head) {
        return Some(found);
    }
    if let Some(found) = utf_16(head) {
        return Some((found, 0));
    }
    declared.filter(|declared| !declared.is_ascii_compatible()).map(|declared| (declared, 0))
}

/// UTF-16 without a mark: in Western text every other byte is zero, and the bytes between them never are.
fn utf_16(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.chunks_exact(2);
    let count = pairs.len();
    let (high, low) =
        pairs.fold((0, 0), |(even, odd), pair| (even + usize::from(pair[0] == 0), odd + usize::from(pair[1] == 0)));
    // Three pairs in ten: text with many foreign words has as many. One pair is too little to decide.
    let most = |zeros: usize| count >= 2 && zeros * 10 >= count * 3;
    match (high, low) {
        (0, zeros) if most(zeros) => Some(UTF_16LE),
        (zeros, 0) if most(zeros) => Some(UTF_16BE),
        _ => None,
    }
}

/// Decodes bytes of any encoding to UTF-8, always whole characters.
pub struct Utf8<R> {
    inner: R,
    found: Rc<DetectedEncoding>,
    declared: Option<&'static Encoding>,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    /// Bytes of `raw` that are decoded.
    taken: usize,
    ended: bool,
    out: Vec<u8>,
    read: usize,
}

impl<R: Read> Utf8<R> {
    /// `inner` starts after the byte-order mark. `settled` is an encoding that is certain.
    pub fn new(inner: R, settled: Option<&'static Encoding>, declared: Option<&'static Encoding>) -> Self {
        let found = Rc::new(DetectedEncoding::default());
        found.encoding.set(settled);
        Self {
            inner,
            found,
            declared,
            decoder: settled.map(Encoding::new_decoder_without_bom_handling),
            raw: Vec::new(),
            taken: 0,
            ended: false,
            out: Vec::new(),
            read: 0,
        }
    }

    pub fn found(&self) -> Rc<DetectedEncoding> {
        Rc::clone(&self.found)
    }

    /// Reads until at least `wanted` raw bytes wait, or the input ends.
    fn fill_raw(&mut self, wanted: usize) -> io::Result<()> {
        self.raw.drain(..self.taken);
        self.taken = 0;
        let missing = wanted.saturating_sub(self.raw.len()) as u64;
        if missing > 0 && !self.ended {
            let read = self.inner.by_ref().take(missing).read_to_end(&mut self.raw)?;
            self.ended = (read as u64) < missing;
        }
        Ok(())
    }

    fn decide(&self) -> &'static Encoding {
        let window = &self.raw[..self.raw.len().min(WINDOW)];
        let utf8 = match std::str::from_utf8(window) {
            Ok(_) => true,
            // Valid if only the window's end cuts a character, and not the text's end.
            Err(e) => e.error_len().is_none() && !(self.ended && window.len() == self.raw.len()),
        };
        if utf8 {
            return UTF_8;
        }
        if let Some(declared) = self.declared.filter(|declared| *declared != UTF_8) {
            return declared;
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(window, true);
        detector.guess(None, Utf8Detection::Deny)
    }

    /// Decodes some of `raw` into `out`, which is empty.
    fn decode(&mut self) -> io::Result<()> {
        if self.decoder.is_none() {
            self.fill_raw(READ)?;
            let ascii = Encoding::ascii_valid_up_to(&self.raw);
            if ascii > 0 || self.raw.is_empty() {
                self.out.extend_from_slice(&self.raw[..ascii]);
                self.taken = ascii;
                return Ok(());
            }
            self.fill_raw(WINDOW)?;
            let encoding = self.decide();
            self.found.encoding.set(Some(encoding));
            self.decoder = Some(encoding.new_decoder_without_bom_handling());
        }
        if self.taken == self.raw.len() {
            self.fill_raw(READ)?;
        }
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let room = decoder.max_utf8_buffer_length(self.raw.len() - self.taken).unwrap_or(READ);
        self.out.resize(room.max(16), 0);
        let last = self.ended;
        let (result, taken, written, replaced) = decoder.decode_to_utf8(&self.raw[self.taken..], &mut self.out, last);
        self.out.truncate(written);
        self.taken += taken;
        if replaced {
            self.found.inexact.set(true);
        }
        if last && result == CoderResult::InputEmpty {
            // A decoder must not be used again after the end.
            self.decoder = Some(UTF_8.new_decoder_without_bom_handling());
        }
        Ok(())
    }
}

impl<R: Read> BufRead for Utf8<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.out.len() {
            self.out.clear();
            self.read = 0;
            self.decode()?;
            if self.out.is_empty() && self.ended && self.taken == self.raw.len() {
                break;
            }
        }
        Ok(&self.out[self.read..])
    }

    fn consume(&mut self, read: usize) {
        self.read += read;
    }
}

impl<R: Read> Read for Utf8<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let read = available.len().min(into.len());
        into[..read].copy_from_slice(&available[..read]);
        self.consume(read);
        Ok(read)
    }
}
