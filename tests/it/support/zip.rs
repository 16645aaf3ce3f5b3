//! Zip files whose headers say what a test wants, whatever is in them.

use std::io::Write;

/// A zip file in the making.
#[derive(Default)]
pub struct Zip {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    entries: u64,
}

/// What an entry's headers say.
#[derive(Clone, Copy)]
struct Stated {
    crc: u32,
    packed: u32,
    unpacked: u32,
}

impl Zip {
    /// A file of these parts.
    pub fn of(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = Self::default();
        parts.iter().for_each(|(name, content)| zip.add(name, content));
        zip.finish()
    }

    pub fn add(&mut self, name: &str, content: &[u8]) {
        self.add_stating(name, content, content.len() as u32);
    }

    /// Adds a part whose headers say that it has `unpacked` bytes.
    pub fn add_stating(&mut self, name: &str, content: &[u8], unpacked: u32) {
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(content).unwrap();
        let packed = packer.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let stated = Stated { crc: crc.sum(), packed: packed.len() as u32, unpacked };
        let offset = self.bytes.len() as u32;
        self.bytes.extend([&b"PK\x03\x04"[..], &common(name, stated), &[0, 0], name.as_bytes(), &packed].concat());
        self.list(name, stated, offset);
    }

    /// Lists a part once more, under another name.
    pub fn list_empty(&mut self, name: &str) {
        self.list(name, Stated { crc: 0, packed: 0, unpacked: 0 }, 0);
    }

    fn list(&mut self, name: &str, stated: Stated, offset: u32) {
        let tail = [&[0; 12][..], &offset.to_le_bytes(), name.as_bytes()].concat();
        self.directory.extend([&b"PK\x01\x02\x14\x00"[..], &common(name, stated), &tail].concat());
        self.entries += 1;
    }

    pub fn finish(self) -> Vec<u8> {
        let (count, offset) = (self.entries.min(0xffff) as u16, self.bytes.len() as u32);
        let sizes = [(self.directory.len() as u32).to_le_bytes(), offset.to_le_bytes()].concat();
        let end = [&b"PK\x05\x06\0\0\0\0"[..], &count.to_le_bytes(), &count.to_le_bytes(), &sizes, &[0, 0]].concat();
        [self.bytes, self.directory, end].concat()
    }

    /// The same with a directory of zip64, which says that it has `entries` and begins at `offset`; `None`: as it is.
    pub fn finish_zip64(self, entries: Option<u64>, offset: Option<u64>) -> Vec<u8> {
        let end_at = (self.bytes.len() + self.directory.len()) as u64;
        let count = entries.unwrap_or(self.entries).to_le_bytes();
        let numbers = [self.directory.len() as u64, offset.unwrap_or(self.bytes.len() as u64)].map(u64::to_le_bytes);
        let record = [&44_u64.to_le_bytes()[..], &[45, 0, 45, 0], &[0; 8], &count, &count, &numbers.concat()].concat();
        let locator = [&[0; 4][..], &end_at.to_le_bytes(), &[1, 0, 0, 0]].concat();
        let end = [&b"PK\x05\x06\0\0\0\0"[..], &[0xff; 12], &[0, 0]].concat();
        [&self.bytes[..], &self.directory, b"PK\x06\x06", &record, b"PK\x06\x07", &locator, &end].concat()
    }
}

/// The fields from the version to the name's length, which both headers of an entry have; the other lengths follow.
fn common(name: &str, stated: Stated) -> Vec<u8> {
    let Stated { crc, packed, unpacked } = stated;
    let numbers = [crc, packed, unpacked].map(u32::to_le_bytes).concat();
    [&[20, 0, 0, 8, 8, 0, 0, 0, 0x21, 0][..], &numbers, &(name.len() as u16).to_le_bytes()].concat()
}
