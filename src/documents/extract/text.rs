//! Plain text: the decoded file, unchanged, in stretches.

use std::io::BufRead;

use super::position::Position;
use super::sections::{Out, SECTION, Stop, cut};
use crate::record::Place;

pub fn read(input: &mut impl BufRead, position: &mut Position, out: &mut Out<'_>) -> Result<(), Stop> {
    let mut waiting = String::new();
    loop {
        fill(input, &mut waiting, SECTION + 1)?;
        if waiting.is_empty() {
            return Ok(());
        }
        let end = cut(&waiting);
        position.advance(end);
        out.stretch(&waiting[..end], &Place::default(), |out| position.cursor(out))?;
        waiting.drain(..end);
    }
}

/// Reads until `text` has at least `wanted` bytes or the input ends. Returns whether it ended.
pub fn fill(input: &mut impl BufRead, text: &mut String, wanted: usize) -> Result<bool, Stop> {
    while text.len() < wanted {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(true);
        }
        // The decoder gives whole characters only.
        text.push_str(&String::from_utf8_lossy(available));
        let read = available.len();
        input.consume(read);
    }
    Ok(false)
}
