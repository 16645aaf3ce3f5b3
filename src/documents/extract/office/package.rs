//! A zip file as a package of parts, within limits.
//!
//! It is held whole, because its directory is at its end. Parts are decompressed while they are read, and
//! walked while they are decompressed.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::documents::extract::decompress::{BOMB_AT_LEAST, MAX_COMPRESSION_RATIO, Totals, Verdict, bomb};
use crate::documents::extract::sections::Stop;
use crate::documents::extract::xml::{Visitor, walk};
use crate::documents::extract::{ExtractOptions, Skip, Unreadable};

/// Parts of a package; a book of a thousand chapters with their pictures has half as many.
const MAX_PARTS: usize = 10_000;

/// Refuses more of what a part lists than a package has parts.
pub fn check_listed(count: usize, what: &str) -> Result<(), Stop> {
    if count <= MAX_PARTS {
        return Ok(());
    }
    let reason = format!("it lists more than {MAX_PARTS} {what}, the limit");
    Err(Unreadable::skipped(Skip::TooLarge, reason).into())
}

/// Before each entry of a zip's directory.
const ENTRY_MARK: &[u8] = b"PK\x01\x02";

/// An opened package, with what reading it may cost.
pub struct Package<'d> {
    archive: ZipArchive<Cursor<&'d [u8]>>,
    /// Indices of parts by their names, as [`normal`] writes them.
    names: HashMap<String, usize>,
    /// Bytes as stored.
    size: u64,
    /// Bytes that its parts so far decompressed to.
    decompressed: u64,
    totals: Totals,
    options: &'d ExtractOptions,
    verdict: Verdict,
}

impl<'d> Package<'d> {
    pub fn open(
        bytes: &'d [u8],
        options: &'d ExtractOptions,
        totals: &Totals,
        verdict: &Verdict,
    ) -> Result<Self, Unreadable> {
        // The zip library keeps some hundred bytes an entry, so they are counted before it reads them.
        let marks = memchr::memmem::find_iter(bytes, ENTRY_MARK).take(MAX_PARTS + 1).count();
        if marks > MAX_PARTS {
            return Err(Unreadable::skipped(Skip::TooLarge, format!("it has more than {MAX_PARTS} parts, the limit")));
        }
        let archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|e| Unreadable::Broken(format!("it is not a zip file that can be read: {e}")))?;
        let names =
            archive.file_names().enumerate().filter_map(|(index, name)| Some((normal(&name.ok()?), index))).collect();
        let (size, totals, verdict) = (bytes.len() as u64, totals.clone(), verdict.clone());
        Ok(Self { archive, names, size, decompressed: 0, totals, options, verdict })
    }

    pub fn options(&self) -> &'d ExtractOptions {
        self.options
    }

    pub fn has(&self, name: &str) -> bool {
        self.names.contains_key(&normal(name))
    }

    /// Walks the XML part called `name` while it is decompressed; whether there is one.
    pub fn walk(&mut self, name: &str, visitor: &mut impl Visitor) -> Result<bool, Stop> {
        self.walk_within(name, u64::MAX, visitor)
    }

    /// Walks a part whose content is kept: it may decompress to no more than a document that is held whole.
    pub fn walk_small(&mut self, name: &str, visitor: &mut impl Visitor) -> Result<bool, Stop> {
        self.walk_within(name, self.options.max_whole_bytes, visitor)
    }

    /// Walks a part that costs no text if it is damaged.
    pub fn try_walk(&mut self, name: &str, visitor: &mut impl Visitor) {
        if self.walk_small(name, visitor).is_err() {
            self.verdict.forget();
        }
    }

    fn walk_within(&mut self, name: &str, limit: u64, visitor: &mut impl Visitor) -> Result<bool, Stop> {
        let (options, verdict) = (self.options, self.verdict.clone());
        let Some(part) = self.part(name, limit)? else { return Ok(false) };
        walk(part, options, &verdict, visitor)?;
        Ok(true)
    }

    fn part<'p>(&'p mut self, name: &str, limit: u64) -> Result<Option<Part<'p>>, Stop> {
        let Some(&index) = self.names.get(&normal(name)) else { return Ok(None) };
        let entry = self.archive.by_index(index).map_err(|e| match e {
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
                Unreadable::skipped(Skip::Encrypted, "it needs a password")
            }
            other => Unreadable::Broken(format!("its part {name} cannot be read: {other}")),
        })?;
        let limits = Limits {
            part: limit,
            compressed: entry.compressed_size(),
            package: self.size,
            total: &mut self.decompressed,
            totals: &self.totals,
            max_decompressed: self.options.max_decompressed_bytes,
            verdict: &self.verdict,
        };
        Ok(Some(Part { inner: Box::new(entry), decompressed: 0, limits }))
    }

    /// The bytes of the part called `name`.
    pub fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, Stop> {
        let Some(mut part) = self.part(name, self.options.max_whole_bytes)? else { return Ok(None) };
        let mut bytes = Vec::new();
        part.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Why there is no text without the part called `name`.
pub fn missing(name: &str) -> Stop {
    Unreadable::Broken(format!("its part {name} is missing")).into()
}

/// A part's bytes, decompressed.
struct Part<'p> {
    inner: Box<dyn Read + 'p>,
    decompressed: u64,
    limits: Limits<'p>,
}

struct Limits<'p> {
    /// Bytes that this part may decompress to.
    part: u64,
    /// Bytes of this part as stored.
    compressed: u64,
    /// Bytes of the whole package.
    package: u64,
    /// Bytes that all parts so far decompressed to.
    total: &'p mut u64,
    totals: &'p Totals,
    max_decompressed: u64,
    verdict: &'p Verdict,
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.decompressed += read as u64;
        *self.limits.total += read as u64;
        let total = *self.limits.total;
        let is_bomb = |decompressed, compressed| {
            decompressed > BOMB_AT_LEAST && decompressed / MAX_COMPRESSION_RATIO > compressed
        };
        let few = self.limits.totals.add(read as u64);
        // Entries that overlap may decompress to the same bytes again and again, each within the ratio.
        let why = if !few || is_bomb(self.decompressed, self.limits.compressed) || is_bomb(total, self.limits.package) {
            bomb()
        } else if self.decompressed > self.limits.part {
            let reason = format!("one of its parts is larger than {} bytes, the limit", self.limits.part);
            Unreadable::skipped(Skip::TooLarge, reason)
        } else if total > self.limits.max_decompressed {
            let reason = format!("it decompresses to more than {} bytes, the limit", self.limits.max_decompressed);
            Unreadable::skipped(Skip::TooLarge, reason)
        } else {
            return Ok(read);
        };
        Err(self.limits.verdict.pronounce(why))
    }
}

/// A part's name as it is looked up: some writers use backslashes, a leading slash, or other cases than they refer by.
fn normal(name: &str) -> String {
    name.replace('\\', "/").trim_start_matches('/').to_lowercase()
}

/// The name that `target` means in a part of the folder `base`.
pub fn resolve(base: &str, target: &str) -> String {
    let target = target.replace('\\', "/");
    let mut segments: Vec<&str> = match target.starts_with('/') {
        true => Vec::new(),
        false => base.split('/').filter(|segment| !segment.is_empty()).collect(),
    };
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    segments.join("/")
}

/// The folder of a part.
pub fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_relative_to_their_part() {
        assert_eq!(resolve("ppt/slides", "../notesSlides/notesSlide1.xml"), "ppt/notesSlides/notesSlide1.xml");
        assert_eq!(resolve("ppt", "/ppt/slides/slide1.xml"), "ppt/slides/slide1.xml");
        assert_eq!(resolve("", "word\\document.xml"), "word/document.xml");
        assert_eq!(resolve("a", "../../../b"), "b");
    }
}
