//! A result and its parts, which threads write side by side.

use std::marker::PhantomData;
use std::ops::Range;

/// Some columns of a result, to be written. Parts of one result may be written by different threads.
pub struct Output<'a> {
    start: *mut f32,
    rows: usize,
    columns: Range<usize>,
    stride: usize,
    values: PhantomData<&'a mut [f32]>,
}

// SAFETY: an `Output` is a mutable borrow of the columns that it names and of nothing else, as `&mut [f32]` is of its
// range.
unsafe impl Send for Output<'_> {}

impl<'a> Output<'a> {
    /// A whole result. Panics if `values` does not have `rows * columns` floats.
    pub fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(values.len()), rows.checked_mul(columns), "a result of {rows} x {columns} has as many values");
        Self { start: values.as_mut_ptr(), rows, columns: 0..columns, stride: columns, values: PhantomData }
    }

    /// Two parts: the columns before column `at` of the whole result, and the others. Panics if `at` is not within.
    pub fn split(self, at: usize) -> (Self, Self) {
        assert!(self.columns.start <= at && at <= self.columns.end, "column {at} is not within {:?}", self.columns);
        let (left, right) = (self.columns.start..at, at..self.columns.end);
        (Self { columns: left, ..self }, Self { columns: right, ..self })
    }

    /// The columns of the whole result that this part holds.
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Of some rows the parts between two columns of the whole result.
    #[inline(always)]
    pub(crate) fn part(&mut self, rows: Range<usize>, columns: Range<usize>) -> impl Iterator<Item = &mut [f32]> {
        let (start, stride, own) = (self.start, self.stride, &self.columns);
        assert!(rows.end <= self.rows, "{rows:?} is not within {} rows", self.rows);
        assert!(own.contains(&columns.start) && columns.end <= own.end, "{columns:?} is not within {own:?}");
        rows.map(move |row| {
            // SAFETY: `new` saw `rows * stride` floats; row and columns are within them. No other part has these
            // columns, and each row comes once.
            unsafe { std::slice::from_raw_parts_mut(start.add(row * stride + columns.start), columns.len()) }
        })
    }
}
