//! Row-major matrices over slices: what kernels read, and parts of a result that threads write side by side.

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix to read: `rows` rows, `stride` floats apart, of which `columns` belong to it.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> Matrix<'a> {
    /// A whole matrix. Panics if `values` does not have `rows * columns` floats.
    pub fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix of {rows} x {columns} has as many values");
        Self { values, rows, columns, stride: columns }
    }

    /// Some of the columns of this matrix, without a copy. Panics if they are not within it.
    pub fn columns(self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.columns,
            "{range:?} is not within {} columns",
            self.columns
        );
        let values = if self.rows == 0 { self.values } else { &self.values[range.start..] };
        Self { values, columns: range.len(), ..self }
    }

    /// How many rows it has.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// How many columns it has.
    pub fn width(self) -> usize {
        self.columns
    }

    /// One row, `width` floats.
    pub fn row(self, index: usize) -> &'a [f32] {
        &self.values[index * self.stride..][..self.columns]
    }
}

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
        assert_eq!(values.len(), rows * columns, "a result of {rows} x {columns} has as many values");
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

    /// The parts between two columns of the whole result of `count` rows from `first` on.
    #[inline(always)]
    pub fn rows_from(&mut self, first: usize, count: usize, columns: Range<usize>) -> impl Iterator<Item = &mut [f32]> {
        assert!(first + count <= self.rows, "rows {first} to {} of {}", first + count, self.rows);
        assert!(
            self.columns.start <= columns.start && columns.start <= columns.end && columns.end <= self.columns.end,
            "columns {columns:?} of {:?}",
            self.columns
        );
        let (start, stride) = (self.start, self.stride);
        (first..first + count).map(move |row| {
            // SAFETY: `new` saw `rows * stride` floats; row and columns are within them. No other part has these
            // columns, and each row comes once.
            unsafe { std::slice::from_raw_parts_mut(start.add(row * stride + columns.start), columns.len()) }
        })
    }
}
