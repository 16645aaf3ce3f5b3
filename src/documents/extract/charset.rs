//! Bytes in any encoding to UTF-8, as a stream.
//!
//! The first of these decides: a byte-order mark; the bytes themselves (UTF-16 by its zero bytes, UTF-8 by being valid
//! where it is not ASCII, but for a few bytes); the declared encoding; a guess by `chardetng`, which browsers use. ASCII
//! is passed on undecided, so that the first byte that is not ASCII decides, even after gigabytes. The declared encoding
//! comes after the bytes, because uploaders declare UTF-8 or Latin-1 without looking.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes that decide, from the first one that is not ASCII.
const WINDOW: usize = 64 * 1024;

const READ: usize = 64 * 1024;

/// Characters of UTF-8 for one byte that is none: other encodings, in the least likely words of Thai, have one and a
/// half such pairs for each byte that fits nowhere.
const EVIDENT: usize = 2;

/// Replaced bytes that are kept in mind between the decoder and the reader.
const MAX_REPLACED: usize = 64 * 1024;

const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// What is known of the encoding so far.
#[derive(Default)]
pub struct DetectedEncoding {
    encoding: Cell<Option<&'static Encoding>>,
    inexact: Cell<bool>,
    /// For each replacement in UTF-8 that no reader is done with: where it ends in the decoded bytes, and how much longer
    /// it is than what it replaced.
    replaced: RefCell<VecDeque<(u64, u64)>>,
}

impl DetectedEncoding {
    /// `None` while all bytes have been ASCII.
    pub fn encoding(&self) -> Option<&'static Encoding> {
        self.encoding.get()
    }

    /// Whether the place of decoded bytes in the input is known: it is UTF-8.
    pub fn exact(&self) -> bool {
        !self.inexact.get() && self.encoding.get().is_none_or(|found| found == UTF_8)
    }

    /// Bytes that the decoded text has more than the input, by replacements up to byte `decoded` that were not counted
    /// before.
    pub fn surplus_until(&self, decoded: u64) -> u64 {
        let mut replaced = self.replaced.borrow_mut();
        let mut surplus = 0;
        while let Some((_, more)) = replaced.pop_front_if(|(end, _)| *end <= decoded) {
            surplus += more;
        }
        surplus
    }

    fn replace(&self, end: u64, length: usize) {
        let mut replaced = self.replaced.borrow_mut();
        match replaced.len() < MAX_REPLACED {
            true => replaced.push_back((end, (REPLACEMENT.len() - length) as u64)),
            false => self.inexact.set(true),
        }
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
    /// Decoded bytes before `out`.
    passed: u64,
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
            passed: 0,
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
        let whole = self.ended && window.len() == self.raw.len();
        if Utf8Evidence::of(window, whole).suffices(self.declared == Some(UTF_8)) {
            return UTF_8;
        }
        if let Some(declared) = self.declared.filter(|declared| *declared != UTF_8) {
            return declared;
        }
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(window, whole);
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
        let mut written = 0;
        loop {
            let (raw, out) = (&self.raw[self.taken..], &mut self.out[written..]);
            let (result, taken, more) = decoder.decode_to_utf8_without_replacement(raw, out, last);
            self.taken += taken;
            written += more;
            match result {
                DecoderResult::Malformed(length, _) if written + REPLACEMENT.len() <= self.out.len() => {
                    self.out[written..written + REPLACEMENT.len()].copy_from_slice(REPLACEMENT);
                    written += REPLACEMENT.len();
                    if decoder.encoding() == UTF_8 {
                        self.found.replace(self.passed + written as u64, usize::from(length));
                    }
                }
                DecoderResult::Malformed(..) => unreachable!("the room is for replacements too"),
                DecoderResult::OutputFull => break,
                DecoderResult::InputEmpty => {
                    if last {
                        // A decoder must not be used again after the end.
                        self.decoder = Some(UTF_8.new_decoder_without_bom_handling());
                    }
                    break;
                }
            }
        }
        self.out.truncate(written);
        Ok(())
    }
}

/// What speaks for UTF-8, and what against it.
struct Utf8Evidence {
    /// Characters that are not ASCII.
    characters: usize,
    /// Sequences of bytes that are no character.
    broken: usize,
}

impl Utf8Evidence {
    /// `whole` says that the text ends with `bytes`; else their end may cut a character.
    fn of(bytes: &[u8], whole: bool) -> Self {
        let (mut rest, mut evidence) = (bytes, Self { characters: 0, broken: 0 });
        loop {
            let valid = std::str::from_utf8(rest);
            let end = valid.as_ref().map_or_else(|e| e.valid_up_to(), |text| text.len());
            // Every byte of a character but its first one is of the form 10xxxxxx.
            let starts = |byte: &&u8| !byte.is_ascii() && **byte & 0xc0 != 0x80;
            evidence.characters += rest[..end].iter().filter(starts).count();
            match valid.err().map(|e| e.error_len()) {
                Some(Some(length)) => {
                    evidence.broken += 1;
                    rest = &rest[end + length..];
                }
                Some(None) if whole => {
                    // Cut off: of two bytes that fit a character it is evident, one may be a letter of another encoding.
                    match rest.len() - end {
                        1 => evidence.broken += 1,
                        _ => evidence.characters += 1,
                    }
                    return evidence;
                }
                _ => return evidence,
            }
        }
    }

    fn suffices(&self, declared: bool) -> bool {
        let Self { characters, broken } = *self;
        broken == 0 || characters >= EVIDENT * broken || (declared && characters + 1 >= broken)
    }
}

impl<R: Read> BufRead for Utf8<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.read == self.out.len() {
            self.passed += self.out.len() as u64;
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

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;

    use crate::documents::extract::tests::{read_whole, run};
    use crate::documents::extract::{ExtractOptions, Section};

    /// The text, and the encoding it was taken for.
    fn decoded(bytes: &[u8], content_type: Option<&str>) -> (String, &'static str) {
        let (sections, outcome) = run(bytes, "a.txt", content_type, &ExtractOptions::default());
        (sections.iter().map(|Section { text, .. }| text.as_str()).collect(), outcome.unwrap().charset)
    }

    const UTF_8: Option<&str> = Some("text/plain; charset=utf-8");

    #[test]
    fn a_bad_byte_in_evident_utf_8_is_replaced_there() {
        let text = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.";
        for (bad, place) in [(&b"\xff"[..], 5), (b"\xe9", 0), (b"\x92", text.len()), (b"\xc3(", 20), (b"\xed\xa0", 30)]
        {
            let bytes = [&text.as_bytes()[..place], bad, &text.as_bytes()[place..]].concat();
            let expected = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(decoded(&bytes, None), (expected.clone(), "UTF-8"), "{bad:x?}");
            assert_eq!(decoded(&bytes, Some("text/plain; charset=iso-8859-1")), (expected, "UTF-8"), "{bad:x?}");
        }
    }

    #[test]
    fn a_bad_byte_in_declared_utf_8_is_replaced_there() {
        assert_eq!(decoded(b"It\x92s plain", UTF_8), ("It\u{fffd}s plain".to_owned(), "UTF-8"));
        assert_eq!(decoded("é \u{e9}".as_bytes(), UTF_8).1, "UTF-8");
        // A declaration that is wrong throughout.
        assert_eq!(decoded(b"M\xfcller stra\xdfe h\xf6her", UTF_8), ("Müller straße höher".to_owned(), "windows-1252"));
    }

    #[test]
    fn other_encodings_are_still_found() {
        for (label, text) in [
            ("windows-1252", "L’été, déjà « fini », naïve œuvre"),
            ("windows-1251", "Маяк стоит на скале, и смотритель живёт один"),
            ("Shift_JIS", "灯台守は一人で暮らしている。カタカナも書く。"),
            ("EUC-JP", "灯台守は一人で暮らしている。カタカナも書く。"),
            ("GBK", "守塔人住在岩石上的灯塔里，每天擦拭玻璃。"),
            ("EUC-KR", "등대지기의 하루는 해가 지기 전에 시작된다"),
            ("windows-874", "ผู้ดูแลประภาคารเริ่มวันของเขาก่อนพระอาทิตย์ตก"),
        ] {
            let encoding = super::labelled(label).unwrap();
            let (bytes, _, _) = encoding.encode(text);
            assert_eq!(decoded(&bytes, None), (text.to_owned(), label));
            // So many that the window's edge lies within a character of two bytes, whatever its place.
            for before in if encoding.is_single_byte() { 0..0 } else { 0..2 } {
                let long = [repeat_n(&b"a"[..], before).collect::<Vec<_>>().concat(), bytes.repeat(9000)].concat();
                let (found, charset) = decoded(&long, None);
                assert_eq!(
                    (found.ends_with(text), found.contains('\u{fffd}'), charset),
                    (true, false, label),
                    "{before}"
                );
            }
        }
    }

    #[test]
    fn a_character_that_is_cut_off_at_the_end_is_replaced() {
        for cut in 1..3 {
            let bytes = &"plain, 日".as_bytes()[..7 + cut];
            let (text, charset) = decoded(bytes, UTF_8);
            assert_eq!((text.as_str(), charset), ("plain, \u{fffd}", "UTF-8"));
            assert_eq!(decoded(&["日本, ".as_bytes(), &bytes[7..]].concat(), None).0, "日本, \u{fffd}");
        }
        assert_eq!(decoded(&"plain, 日".as_bytes()[..9], None), ("plain, \u{fffd}".to_owned(), "UTF-8"));
        assert_eq!(decoded(b"a caf\xe9", None), ("a café".to_owned(), "windows-1252"));
    }

    #[test]
    fn the_edge_of_a_window_cuts_no_character() {
        // The window begins at the first character that is not ASCII.
        for shift in 0..4 {
            let text = ["é", &"a".repeat(shift), &"日本語".repeat(40_000)].concat();
            assert!(decoded(text.as_bytes(), None) == (text, "UTF-8"), "{shift}");
        }
    }

    #[test]
    fn reading_goes_on_after_bytes_that_were_replaced() {
        let paragraph = "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich.\n\n".repeat(800);
        let bad = [&b"\xff"[..], b"\xe6\x97", b"\xf0\x9f\x98", b"\xc3", b"\x80\x80"];
        let bytes: Vec<u8> = bad.iter().flat_map(|bad| [bad, paragraph.as_bytes()].concat()).collect();
        let (texts, _) = read_whole(&bytes, "a.txt", &ExtractOptions::default());
        assert!(texts.len() > 3 && texts.concat() == String::from_utf8_lossy(&bytes));
        let lines: Vec<u8> = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .flat_map(|line| [b"{\"text\": \"", line, b"\"}\n"].concat())
            .collect();
        assert_eq!(read_whole(&lines, "a.jsonl", &ExtractOptions::default()).0.len(), 4000);
        // More than are kept in mind: the text is whole, and reading begins anew.
        let dense = [b"\xff", "ééé\n".as_bytes()].concat().repeat(300_000);
        let (texts, _) = read_whole(&dense, "a.txt", &ExtractOptions::default());
        assert!(texts.concat() == String::from_utf8_lossy(&dense));
    }
}
