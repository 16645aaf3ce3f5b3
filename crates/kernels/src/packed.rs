//! The packed form of one product's weights: how its parts lie in bytes.
//!
//! ```text
//! header         64 bytes: magic, version, inner, columns, whether there is an input scale; all little-endian u32
//! codes          panels of 16 columns; in a panel a line of 64 bytes for each group of 4 inner rows:
//!                4 codes of the first column, 4 of the second, ...
//! pairs          u16 for each panel and chunk of 128 groups   } in which order AVX2 takes
//! order          u8 for each panel and group                  } the groups (`pairs`)
//! column sums    i32 for each column, of its codes
//! scales         f32 for each column
//! bias           f32 for each column
//! input scale    f32 for each inner row, or nothing
//! ```
//!
//! Inner rows are filled up to a multiple of 4 with codes 0, columns to a multiple of 16 with zeros. Every part begins
//! at a multiple of 64 bytes, so all lines are lines of the cache where the whole begins at one. One form serves all
//! instruction sets: a line is what `vpdpbusd`, `vpmaddubsw`, `sdot`, and a tile's row of AMX want.

use std::fmt;
use std::ops::Range;

use crate::lanes::{CHUNK_GROUPS, Codes, GROUP, LANES, Panel};

/// Bytes at whose multiples packed weights and their parts begin.
pub const ALIGNMENT: usize = 64;

/// Version of the packed form. A reader of another version refuses it.
pub const VERSION: u32 = 1;

pub(crate) const MAGIC: [u8; 8] = *b"LEPACKED";

/// More inner rows could overflow a sum: 2^15 / 2 pairs of at most 255 * 128, and as much for the zero point.
pub(crate) const MOST_INNER: usize = 1 << 15;
pub(crate) const MOST_COLUMNS: usize = 1 << 20;

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
    pub has_input_scale: bool,
}

/// Where the parts lie.
pub(crate) struct Parts {
    pub codes: Range<usize>,
    pub pairs: Range<usize>,
    pub order: Range<usize>,
    pub sums: Range<usize>,
    pub scales: Range<usize>,
    pub bias: Range<usize>,
    pub input_scale: Range<usize>,
    pub end: usize,
}

impl Shape {
    pub fn new(inner: usize, columns: usize, has_input_scale: bool) -> Result<Self, Error> {
        if !(1..=MOST_INNER).contains(&inner) || !(1..=MOST_COLUMNS).contains(&columns) {
            return Err(Error(format!(
                "a product of {inner} x {columns}: 1 to {MOST_INNER} inner rows and 1 to {MOST_COLUMNS} columns fit"
            )));
        }
        Ok(Self { inner, columns, has_input_scale })
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

    pub fn parts(self) -> Parts {
        let mut end = ALIGNMENT;
        let mut next = |length: usize| {
            let start = end;
            end = (start + length).next_multiple_of(ALIGNMENT);
            start..start + length
        };
        let column_numbers = self.panels() * LANES * 4;
        Parts {
            codes: next(self.panels() * self.groups() * size_of::<Codes>()),
            pairs: next(self.panels() * self.chunks() * 2),
            order: next(self.panels() * self.groups()),
            sums: next(column_numbers),
            scales: next(column_numbers),
            bias: next(column_numbers),
            input_scale: next(if self.has_input_scale { self.inner * 4 } else { 0 }),
            end,
        }
    }

    pub fn header(self) -> [u8; ALIGNMENT] {
        let mut header = [0; ALIGNMENT];
        header[..8].copy_from_slice(&MAGIC);
        let fields = [VERSION, self.inner as u32, self.columns as u32, u32::from(self.has_input_scale)];
        for (to, field) in header[8..].chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&field.to_le_bytes());
        }
        header
    }

    fn read(header: &[u8]) -> Result<Self, Error> {
        if header.len() < ALIGNMENT || header[..8] != MAGIC {
            return Err(Error("these bytes are no packed weights: they do not begin as such".into()));
        }
        let field = |index: usize| u32::from_le_bytes(header[8 + index * 4..][..4].try_into().expect("4 bytes"));
        if field(0) != VERSION {
            return Err(Error(format!(
                "packed weights of version {}, and this program knows version {VERSION}: pack them anew",
                field(0)
            )));
        }
        let shape = Self::new(field(1) as usize, field(2) as usize, field(3) == 1)?;
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
    pub input_scale: Option<&'a [f32]>,
}

impl<'a> Packed<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let shape = Shape::read(bytes)?;
        let parts = shape.parts();
        if bytes.len() != parts.end {
            return Err(Error(format!(
                "packed weights of {} x {} have {} bytes, not {}",
                shape.inner,
                shape.columns,
                parts.end,
                bytes.len()
            )));
        }
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(Error(format!("packed weights have to begin at a multiple of {ALIGNMENT} bytes in memory")));
        }
        let packed = Self {
            shape,
            codes: numbers(&bytes[parts.codes]),
            pairs: numbers(&bytes[parts.pairs]),
            order: &bytes[parts.order],
            sums: numbers(&bytes[parts.sums]),
            scales: numbers(&bytes[parts.scales]),
            bias: numbers(&bytes[parts.bias]),
            input_scale: shape.has_input_scale.then(|| numbers(&bytes[parts.input_scale])),
        };
        packed.check_order()?;
        Ok(packed)
    }

    /// AVX2 reads codes where the order says, so the order must not lead out of a chunk.
    fn check_order(&self) -> Result<(), Error> {
        for panel in 0..self.shape.panels() {
            let panel = self.panel(panel);
            for (order, &pairs) in panel.order.chunks(CHUNK_GROUPS).zip(panel.pairs) {
                if 2 * usize::from(pairs) > order.len() || order.iter().any(|&group| usize::from(group) >= order.len())
                {
                    return Err(Error("packed weights are damaged: an order of groups leads out of them".into()));
                }
            }
        }
        Ok(())
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

/// Plain numbers, of which any bytes are some.
trait Number: Copy {}
impl Number for u16 {}
impl Number for f32 {}
impl Number for [i32; LANES] {}
impl Number for [f32; LANES] {}
impl Number for Codes {}

#[cfg(target_endian = "big")]
compile_error!("packed weights are little-endian");

fn numbers<T: Number>(bytes: &[u8]) -> &[T] {
    // SAFETY: every bit pattern is a `Number`, which has no padding; `align_to` looks after alignment and length.
    let (before, numbers, after) = unsafe { bytes.align_to::<T>() };
    assert!(before.is_empty() && after.is_empty(), "a part of packed weights is aligned and whole");
    numbers
}
