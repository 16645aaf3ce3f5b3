//! The bytes of an RTF document as tokens.

use std::io::{self, BufRead, Read};

/// Letters of a control word; longer ones are no words of the format.
const MAX_WORD: usize = 32;

#[derive(Debug, PartialEq, Eq)]
pub enum Token {
    Open,
    Close,
    /// `\*`: the destination that follows may be ignored.
    Ignorable,
    /// A byte of text in the code page of its font.
    Byte(u8),
    /// A character that has a control symbol.
    Symbol(&'static str),
    Word {
        word: String,
        number: Option<i32>,
    },
}

pub struct Tokens<R> {
    input: R,
    peeked: Option<u8>,
}

impl<R: BufRead> Tokens<R> {
    pub fn new(input: R) -> Self {
        Self { input, peeked: None }
    }

    /// The next token; `None` at the end of the input.
    pub fn next(&mut self) -> io::Result<Option<Token>> {
        loop {
            let Some(byte) = self.byte()? else { return Ok(None) };
            match byte {
                b'{' => return Ok(Some(Token::Open)),
                b'}' => return Ok(Some(Token::Close)),
                b'\\' => {
                    if let Some(token) = self.control()? {
                        return Ok(Some(token));
                    }
                }
                // Line ends are for the eye of whoever reads the source; zeros are padding.
                b'\r' | b'\n' | 0 => {}
                b'\t' => return Ok(Some(Token::Symbol("\t"))),
                other => return Ok(Some(Token::Byte(other))),
            }
        }
    }

    fn control(&mut self) -> io::Result<Option<Token>> {
        let Some(first) = self.byte()? else { return Ok(None) };
        Ok(Some(match first {
            b'a'..=b'z' | b'A'..=b'Z' => return self.word(first),
            b'\'' => {
                let digits =
                    [self.byte()?, self.byte()?].map(|digit| digit.and_then(|digit| (digit as char).to_digit(16)));
                match digits {
                    [Some(high), Some(low)] => Token::Byte((high * 16 + low) as u8),
                    _ => return Ok(None),
                }
            }
            b'*' => Token::Ignorable,
            b'~' => Token::Symbol("\u{a0}"),
            b'_' => Token::Symbol("-"),
            b'\\' | b'{' | b'}' => Token::Byte(first),
            b'\r' | b'\n' => Token::Word { word: "par".to_owned(), number: None },
            b'\t' => Token::Symbol("\t"),
            // An optional hyphen, marks of indexes and formulas.
            _ => return Ok(None),
        }))
    }

    fn word(&mut self, first: u8) -> io::Result<Option<Token>> {
        let mut word = String::from(first as char);
        let mut next = self.byte()?;
        while let Some(letter) = next.filter(u8::is_ascii_alphabetic) {
            if word.len() < MAX_WORD {
                word.push(letter as char);
            }
            next = self.byte()?;
        }
        let mut digits = String::new();
        if next == Some(b'-') {
            digits.push('-');
            next = self.byte()?;
        }
        while let Some(digit) = next.filter(u8::is_ascii_digit) {
            if digits.len() < MAX_WORD {
                digits.push(digit as char);
            }
            next = self.byte()?;
        }
        // A space ends the word and belongs to it; anything else is what follows.
        self.peeked = next.filter(|byte| *byte != b' ');
        let number = digits.parse().ok();
        if word == "bin" {
            let count = number.filter(|count| *count > 0).unwrap_or_default() as u64;
            self.skip(count)?;
            return Ok(None);
        }
        Ok(Some(Token::Word { word, number }))
    }

    fn skip(&mut self, count: u64) -> io::Result<()> {
        let peeked = u64::from(self.peeked.take_if(|_| count > 0).is_some());
        io::copy(&mut self.input.by_ref().take(count - peeked), &mut io::sink())?;
        Ok(())
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.peeked.take() {
            return Ok(Some(byte));
        }
        let available = self.input.fill_buf()?;
        let Some(&byte) = available.first() else { return Ok(None) };
        self.input.consume(1);
        Ok(Some(byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_data_is_no_text() {
        let mut tokens = Tokens::new(&b"{\\bin4 {{{}a\\'e9\\u-3 ?\\par}"[..]);
        let mut found = Vec::new();
        while let Some(token) = tokens.next().unwrap() {
            found.push(token);
        }
        let word = |word: &str, number| Token::Word { word: word.to_owned(), number };
        let expected = [
            Token::Open,
            Token::Byte(b'a'),
            Token::Byte(0xe9),
            word("u", Some(-3)),
            Token::Byte(b'?'),
            word("par", None),
            Token::Close,
        ];
        assert_eq!(found, expected);
    }
}
