//! Decoded text that a reader can look at more than once: a record that does not fit is tried in another way, from its
//! start.

use std::io::{self, BufRead};

use super::position::Position;

/// Bytes that are read at once at least.
const READ: usize = 64 * 1024;

/// The bytes from a record's start on, as many as were asked for.
pub struct Window<'p, R> {
    input: R,
    /// Where its first byte is in the stored object.
    pub position: &'p mut Position,
    bytes: Vec<u8>,
    start: usize,
    ended: bool,
}

impl<'p, R: BufRead> Window<'p, R> {
    pub fn new(input: R, position: &'p mut Position) -> Self {
        Self { input, position, bytes: Vec::new(), start: 0, ended: false }
    }

    /// What was read and not passed yet. It may end within a character.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// Whether nothing comes after [`bytes`](Self::bytes).
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Reads as much again as there is: whoever begins anew after each call does twice the work, not more. Returns
    /// whether there was more.
    pub fn more(&mut self) -> io::Result<bool> {
        self.bytes.drain(..self.start);
        self.start = 0;
        let before = self.bytes.len();
        let wanted = before + before.max(READ);
        while !self.ended && self.bytes.len() < wanted {
            let available = self.input.fill_buf()?;
            let read = available.len().min(wanted - self.bytes.len());
            self.ended = read == 0;
            self.bytes.extend_from_slice(&available[..read]);
            self.input.consume(read);
        }
        Ok(self.bytes.len() > before)
    }

    /// Is done with `count` bytes.
    pub fn pass(&mut self, count: usize) {
        let end = self.start + count;
        self.position.advance_over(&self.bytes[self.start..end]);
        self.start = end;
    }

    /// Is done with all bytes up to and with the one that `last` finds in what it is given piece by piece, or with the
    /// rest of the document. Returns how many these are.
    pub fn pass_to(&mut self, mut last: impl FnMut(&[u8]) -> Option<usize>) -> io::Result<usize> {
        let mut passed = 0;
        loop {
            let bytes = self.bytes();
            let found = last(bytes);
            let count = found.map_or(bytes.len(), |at| at + 1);
            self.pass(count);
            passed += count;
            if found.is_some() || !self.more()? {
                return Ok(passed);
            }
        }
    }
}
