//! A page's bytes before the tokenizer, which keeps an attribute until its tag ends.

use std::io::{self, Read};

/// Bytes of an embedded file that are handed on.
const EMBEDDED: usize = 1024;

/// What is before an embedded file.
const MARK: &[u8] = b";base64,";

/// Attributes of a tag at most; the tokenizer compares each with all others.
pub const MAX_ATTRIBUTES: usize = 5000;

/// Cuts embedded files (`data:image/png;base64,…`) short: nobody reads them.
pub struct EmbeddedFiles<R> {
    inner: R,
    /// Bytes of [`MARK`] that were seen.
    matched: usize,
    /// Bytes of a file, where one is.
    file: Option<usize>,
}

impl<R> EmbeddedFiles<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, matched: 0, file: None }
    }

    /// Moves what is kept of `bytes` to their start; how many these are.
    fn cut(&mut self, bytes: &mut [u8]) -> usize {
        let mut kept = 0;
        for at in 0..bytes.len() {
            let byte = bytes[at];
            if let Some(length) = &mut self.file {
                if byte.is_ascii_alphanumeric() || b"+/=%-_".contains(&byte) {
                    *length += 1;
                    if *length > EMBEDDED {
                        continue;
                    }
                } else {
                    self.file = None;
                }
            }
            bytes[kept] = byte;
            kept += 1;
            self.matched = match byte.to_ascii_lowercase() {
                byte if byte == MARK[self.matched] => self.matched + 1,
                byte => usize::from(byte == MARK[0]),
            };
            if self.matched == MARK.len() {
                (self.matched, self.file) = (0, Some(0));
            }
        }
        kept
    }
}

impl<R: Read> Read for EmbeddedFiles<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.inner.read(into)?;
            let kept = self.cut(&mut into[..read]);
            if read == 0 || kept > 0 {
                return Ok(kept);
            }
        }
    }
}

/// Counts the attributes of the tag that is open, roughly.
#[derive(Default)]
pub struct Attributes {
    place: Place,
    pub count: usize,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Place {
    #[default]
    Text,
    /// After `<`.
    Less,
    /// In a tag, outside of values.
    Tag,
    /// White space in a tag.
    Space,
    /// After an attribute's `=`.
    Equals,
    Quoted(u8),
}

impl Attributes {
    pub fn read(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.place = match (self.place, byte) {
                (Place::Text | Place::Less, b'<') => Place::Less,
                (Place::Less, byte) if byte.is_ascii_alphabetic() => {
                    self.count = 0;
                    Place::Tag
                }
                (Place::Text | Place::Less, _) => Place::Text,
                (Place::Quoted(quote), byte) if byte == quote => Place::Space,
                (Place::Quoted(quote), _) => Place::Quoted(quote),
                (Place::Equals, quote @ (b'"' | b'\'')) => Place::Quoted(quote),
                (Place::Equals, byte) if byte.is_ascii_whitespace() => Place::Equals,
                (_, b'>') => Place::Text,
                (_, b'=') => Place::Equals,
                (_, byte) if byte.is_ascii_whitespace() || byte == b'/' => Place::Space,
                (Place::Space, _) => {
                    self.count += 1;
                    Place::Tag
                }
                _ => Place::Tag,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_files_are_cut_short_wherever_bytes_are_divided() {
        let page = [b"<img src='data:image/png;BASE64,".as_slice(), &[b'A'; 9000], b"' alt='A;base64;'>x"].concat();
        for size in [1, 7, 9999] {
            let mut files = EmbeddedFiles::new(&page[..]);
            let (mut buffer, mut kept) = (vec![0; size], Vec::<u8>::new());
            while let read @ 1.. = files.read(&mut buffer).unwrap() {
                kept.extend(&buffer[..read]);
            }
            let expected =
                [b"<img src='data:image/png;BASE64,".as_slice(), &[b'A'; EMBEDDED], b"' alt='A;base64;'>x"].concat();
            assert!(kept == expected, "{size}");
        }
    }

    #[test]
    fn attributes_are_counted_and_words_of_values_are_not() {
        let count = |tag: &str| {
            let mut attributes = Attributes::default();
            attributes.read(tag.as_bytes());
            attributes.count
        };
        assert_eq!(count("1 < 2 <p a b=c d = 'e f g' h=\"i j\"k"), 5);
        assert_eq!(count("<p a b c> <br/"), 0);
    }
}
