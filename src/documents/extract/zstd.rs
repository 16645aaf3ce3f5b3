//! zstd's frames, one after another, as RFC 8878 has them: `ruzstd` decodes one frame, and leaves the rest to its caller.

use std::io::{self, BufRead, BufReader, Read};

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Bytes of a frame's window at most: 8 MiB is what zstd's levels up to 19 use, and what the RFC asks every reader to
/// have.
const LARGEST_WINDOW: u64 = 8 << 20;

/// Reads the content of all frames. Each is checked against its length and its checksum, where it has them.
pub struct ZstdReader<R> {
    source: BufReader<R>,
    decoder: FrameDecoder,
    /// Whether a frame was begun whose end is not checked yet.
    open: bool,
    /// Bytes read of this frame.
    length: u64,
}

impl<R: Read> ZstdReader<R> {
    pub fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(LARGEST_WINDOW);
        Self { source: BufReader::new(source), decoder, open: false, length: 0 }
    }

    /// Begins the next frame, beyond those that hold no data; false at the input's end.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {
                    (self.open, self.length) = (true, 0);
                    return Ok(true);
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    let length = u64::from(length);
                    if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? < length {
                        return Err(damaged("it is cut off"));
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { requested, max }) => {
                    return Err(damaged(format!("a window of {requested} bytes is larger than {max}, the limit")));
                }
                Err(error) => return Err(damaged(error)),
            }
        }
        Ok(false)
    }

    fn check_end(&mut self) -> io::Result<()> {
        self.open = false;
        // 0 also stands for a length that is not stated.
        let stated = self.decoder.content_size();
        if stated != 0 && stated != self.length {
            return Err(damaged("its length is not the one it states"));
        }
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            return Err(damaged("its checksum is another"));
        }
        Ok(())
    }
}

impl<R: Read> Read for ZstdReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.decoder.can_collect() > 0 {
                let read = self.decoder.read(into)?;
                self.length += read as u64;
                return Ok(read);
            }
            if !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, one).map_err(damaged)?;
                continue;
            }
            if self.open {
                self.check_end()?;
            }
            if !self.next_frame()? {
                return Ok(0);
            }
        }
    }
}

fn damaged(why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zstd data is damaged: {why}"))
}

#[cfg(test)]
mod tests {
    use ruzstd::encoding::{CompressionLevel, compress_to_vec};

    use super::*;

    /// Several blocks of text that repeats itself, and bytes that do not.
    fn content() -> Vec<u8> {
        let words = (0..60_000_u32).flat_map(|n| format!("{} ", n.wrapping_mul(2_654_435_761) % 9973).into_bytes());
        words.collect()
    }

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    fn decompressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        ZstdReader::new(bytes).read_to_end(&mut read).map(|_| read)
    }

    #[test]
    fn frames_are_read_one_after_another_and_those_without_data_passed_over() {
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let frames = [&skipped[..], &compressed(&content()), &compressed(b""), &skipped, &compressed(b"end")].concat();
        assert!(decompressed(&frames).unwrap() == [&content()[..], b"end"].concat());
        assert!(decompressed(&frames[..frames.len() - compressed(b"end").len() - 1]).is_err());
        assert!(decompressed(&[&compressed(b"a")[..], b"rubbish"].concat()).is_err());
    }

    #[test]
    fn a_frame_that_was_cut_off_is_an_error_wherever_that_was() {
        let whole = compressed(&content());
        for end in (1..whole.len()).step_by(97).chain(whole.len() - 9..whole.len()) {
            assert!(decompressed(&whole[..end]).is_err(), "{end} of {}", whole.len());
        }
    }

    #[test]
    fn a_changed_byte_is_noticed_and_causes_no_panic() {
        let (content, mut frame) = (content(), compressed(&content()));
        for at in (0..frame.len()).step_by(61).chain(0..64) {
            for bits in [1, 0x80, 0xff] {
                frame[at] ^= bits;
                // Some bits of a frame mean nothing.
                assert!(decompressed(&frame).map_or(true, |read| read == content), "{at}");
                frame[at] ^= bits;
            }
        }
        assert!(decompressed(&frame).unwrap() == content);
    }

    #[test]
    fn a_window_beyond_the_limit_is_refused_before_memory_is_taken() {
        // Magic number, no flags, a window of 2^(10 + 14) bytes.
        let error = decompressed(&[0x28, 0xb5, 0x2f, 0xfd, 0, 14 << 3]).unwrap_err();
        assert!(error.to_string().contains("16777216 bytes is larger than 8388608"), "{error}");
    }
}
