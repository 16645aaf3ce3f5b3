//! The packed form of one product's weights: how its parts lie in bytes.
//!
//! ```text
//! header         64 bytes: magic, then version, inner and columns as little-endian u32
//! codes          panels of 16 columns; in a panel a line of 64 bytes for each group of 4 inner rows:
//!                4 codes of the first column, 4 of the second, ...
//! pairs          u16 for each panel and chunk of 128 groups   } in which order AVX2 takes
//! order          u8 for each panel and group                  } the groups (`pairs`)
//! column sums    i32 for each column, of its codes
//! scales         f32 for each column
//! bias           f32 for each column
//! input scale    f32 for each inner row
//! ```
//!
//! Inner rows are filled up to a multiple of 4 with codes 0, columns to a multiple of 16 with zeros. Every part begins
//! at a multiple of 64 bytes, so all lines are lines of the cache where the whole begins at one. One form serves all
//! instruction sets: a line is what `vpdpbusd`, `vpmaddubsw`, `sdot`, and a tile's row of AMX want.

use std::fmt;
use std::ops::Range;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::lanes::{CHUNK_GROUPS, Codes, GROUP, LANES, Panel};

/// Bytes at whose multiples packed weights and their parts begin.
pub const ALIGNMENT: usize = 64;

/// Version of the packed form and of the arithmetic: raise it if either changes. A reader of another version refuses.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"LEPACKED";

/// More inner rows could overflow a sum: 2^15 / 2 pairs of at most 255 * 128, and as much for the zero point.
const MOST_INNER: usize = 1 << 15;
const MOST_COLUMNS: usize = 1 << 20;

/// Why bytes are no packed weights, or weights cannot be packed.
#[derive(Debug, PartialEq, Eq)]
pub struct Error(pub(crate) String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Sizes of a product, and from them where its parts lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub inner: usize,
    pub columns: usize,
}

impl Shape {
    pub fn new(inner: usize, columns: usize) -> Result<Self, Error> {
        if !(1..=MOST_INNER).contains(&inner) || !(1..=MOST_COLUMNS).contains(&columns) {
            return Err(Error(format!(
                "a product of {inner} x {columns}: 1 to {MOST_INNER} inner rows and 1 to {MOST_COLUMNS} columns fit"
            )));
        }
        Ok(Self { inner, columns })
    }

    /// Groups of 4 inner rows.
    pub fn groups(self) -> usize {
        self.inner.div_ceil(GROUP)
    }

    pub fn chunks(self) -> usize {
        self.groups().div_ceil(CHUNK_GROUPS)
    }

    /// Panels of 16 columns.
    pub fn panels(self) -> usize {
        self.columns.div_ceil(LANES)
    }

    /// Where the seven parts after the header lie, in their order, and where the last one ends.
    pub fn parts(self) -> ([Range<usize>; 7], usize) {
        let (panels, numbers) = (self.panels(), self.panels() * LANES * 4);
        let codes = panels * self.groups() * size_of::<Codes>();
        let (pairs, order) = (panels * self.chunks() * 2, panels * self.groups());
        let mut end = ALIGNMENT;
        let parts = [codes, pairs, order, numbers, numbers, numbers, self.inner * 4].map(|length| {
            let start = end;
            end = (start + length).next_multiple_of(ALIGNMENT);
            start..start + length
        });
        (parts, end)
    }

    pub fn header(self) -> [u8; ALIGNMENT] {
        let mut header = [0; ALIGNMENT];
        header[..8].copy_from_slice(&MAGIC);
        header[8..20].copy_from_slice([VERSION, self.inner as u32, self.columns as u32].as_bytes());
        header
    }

    fn read(header: &[u8]) -> Result<Self, Error> {
        if header.len() < ALIGNMENT || header[..8] != MAGIC {
            return Err(Error("these bytes are no packed weights: they do not begin as such".into()));
        }
        let [version, inner, columns] = <[u32; 3]>::read_from_bytes(&header[8..20]).expect("12 bytes");
        if version != VERSION {
            return Err(Error(format!(
                "packed weights of version {version}, where this program knows {VERSION}: pack anew"
            )));
        }
        let shape = Self::new(inner as usize, columns as usize)?;
        if header[..ALIGNMENT] != shape.header() {
            return Err(Error("the header of packed weights has an unknown field".into()));
        }
        Ok(shape)
    }
}

/// Packed weights, read where they are.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a> {
    pub shape: Shape,
    codes: &'a [Codes],
    pairs: &'a [u16],
    order: &'a [u8],
    pub sums: &'a [[i32; LANES]],
    pub scales: &'a [[f32; LANES]],
    pub bias: &'a [[f32; LANES]],
    pub input_scale: &'a [f32],
}

impl<'a> Packed<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let shape = Shape::read(bytes)?;
        let (parts, length) = shape.parts();
        if bytes.len() != length {
            let Shape { inner, columns } = shape;
            return Err(Error(format!(
                "packed weights of {inner} x {columns} have {length} bytes, not {}",
                bytes.len()
            )));
        }
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(Error(format!("packed weights have to begin at a multiple of {ALIGNMENT} bytes in memory")));
        }
        let [codes, pairs, order, sums, scales, bias, input_scale] = parts.map(|part| &bytes[part]);
        Ok(Self {
            shape,
            codes: numbers(codes),
            pairs: numbers(pairs),
            order,
            sums: numbers(sums),
            scales: numbers(scales),
            bias: numbers(bias),
            input_scale: numbers(input_scale),
        })
    }

    #[inline(always)]
    pub fn panel(&self, index: usize) -> Panel<'a> {
        let (groups, chunks) = (self.shape.groups(), self.shape.chunks());
        Panel {
            codes: &self.codes[index * groups..][..groups],
            order: &self.order[index * groups..][..groups],
            pairs: &self.pairs[index * chunks..][..chunks],
        }
    }
}

#[cfg(target_endian = "big")]
compile_error!("packed weights are little-endian");

fn numbers<T: FromBytes + Immutable>(part: &[u8]) -> &[T] {
    <[T]>::ref_from_bytes(part).expect("a part is aligned and whole")
}
