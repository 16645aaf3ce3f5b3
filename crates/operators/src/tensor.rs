//! A run's tensors as slices.

use ort::operator::ComputeContext;
use ort::value::{PrimitiveTensorElementType, ValueRef};
use ort::{Error, Result};

/// Input `index`, which the graph must have.
pub fn input(context: &ComputeContext, index: usize) -> Result<ValueRef<'_>> {
    context.input(index)?.ok_or_else(|| Error::new(format!("input {index} is missing")))
}

/// A tensor's dimensions and values.
pub fn slice<'a, T: PrimitiveTensorElementType>(value: &'a ValueRef<'_>) -> Result<(&'a [i64], &'a [T])> {
    let (shape, values) = value.try_extract_tensor::<T>()?;
    Ok((shape, values))
}

/// Makes the only output, of `shape`, and lets `fill` write its values.
pub fn fill_output<T: PrimitiveTensorElementType>(
    context: &ComputeContext,
    shape: &[i64],
    fill: impl FnOnce(&mut [T]) -> Result<()>,
) -> Result<()> {
    let mut output = context.output(0, shape)?.ok_or_else(|| Error::new("the output is missing"))?;
    fill(output.try_extract_tensor_mut::<T>()?.1)
}

/// How many rows of `inner` channels x has.
pub fn rows(shape: &[i64], x: &[f32], inner: usize) -> Result<usize> {
    match width(shape) == inner {
        true => Ok(x.len() / inner),
        false => Err(Error::new(format!("rows of {} channels for a product of {inner}", width(shape)))),
    }
}

/// The last dimension, or 0.
pub fn width(shape: &[i64]) -> usize {
    shape.last().map_or(0, |&width| width as usize)
}
