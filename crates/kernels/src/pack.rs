//! Packs weights: done once, when a model is built.

use crate::lanes::{Codes, GROUP, LANES};
use crate::packed::{Error, Shape};
use crate::pairs;

/// The weights of one product, `x * input_scale @ (codes * scales) + bias`.
#[derive(Clone, Copy)]
pub struct Weights<'a> {
    /// `inner` rows of `columns` codes. Of the inner rows 2i and 2i + 1 the positive codes of a column add up to at
    /// most 128, and so do the negative ones, as docs/quantization.md has it: sums of two products then fit into 16
    /// bits.
    pub codes: &'a [i8],
    pub inner: usize,
    pub columns: usize,
    /// What a code is worth, for each column.
    pub scales: &'a [f32],
    /// Added to each column.
    pub bias: &'a [f32],
    /// What each inner channel of x is multiplied by before it is quantized, if anything.
    pub input_scale: Option<&'a [f32]>,
}

/// The packed form, whose layout [`crate::VERSION`] counts. An error where sizes do not fit or codes could saturate.
pub fn pack(weights: &Weights<'_>) -> Result<Vec<u8>, Error> {
    let Weights { codes, inner, columns, scales, bias, input_scale } = *weights;
    let shape = Shape::new(inner, columns, input_scale.is_some())?;
    for (name, found, wanted) in [
        ("codes", codes.len(), inner * columns),
        ("scales", scales.len(), columns),
        ("biases", bias.len(), columns),
        ("input scales", input_scale.map_or(inner, <[f32]>::len), inner),
    ] {
        if found != wanted {
            return Err(Error(format!("a product of {inner} x {columns} has {wanted} {name}, not {found}")));
        }
    }
    let parts = shape.parts();
    let mut bytes = vec![0; parts.end];
    bytes[..shape.header().len()].copy_from_slice(&shape.header());
    let mut panels = bytes[parts.codes].chunks_exact_mut(shape.groups() * size_of::<Codes>());
    let (mut every_order, mut every_pairs, mut sums) = (Vec::new(), Vec::new(), vec![0i32; columns]);
    for panel in 0..shape.panels() {
        let lines = panels.next().expect("a range of all panels").chunks_exact_mut(size_of::<Codes>());
        let mut extents = Vec::with_capacity(shape.groups());
        for (group, line) in lines.enumerate() {
            let mut here = Codes([0; LANES * GROUP]);
            for column in panel * LANES..columns.min((panel + 1) * LANES) {
                for row in group * GROUP..inner.min((group + 1) * GROUP) {
                    let code = codes[row * columns + column];
                    here.0[column % LANES * GROUP + row % GROUP] = code;
                    sums[column] += i32::from(code);
                }
            }
            extents.push(pairs::extent(&here).ok_or_else(|| {
                Error(format!(
                    "codes could saturate: two of the inner rows {} to {} add up to more than {} in a column",
                    group * GROUP,
                    group * GROUP + GROUP - 1,
                    pairs::MOST
                ))
            })?);
            line.copy_from_slice(&here.0.map(|code| code as u8));
        }
        let (order, pairs) = pairs::order(&extents);
        every_order.extend(order);
        every_pairs.extend(pairs);
    }
    bytes[parts.order].copy_from_slice(&every_order);
    fill(&mut bytes[parts.pairs], every_pairs.iter().map(|pairs| pairs.to_le_bytes()));
    fill(&mut bytes[parts.sums], sums.iter().map(|sum| sum.to_le_bytes()));
    fill(&mut bytes[parts.scales], scales.iter().map(|scale| scale.to_le_bytes()));
    fill(&mut bytes[parts.bias], bias.iter().map(|bias| bias.to_le_bytes()));
    fill(&mut bytes[parts.input_scale], input_scale.unwrap_or_default().iter().map(|scale| scale.to_le_bytes()));
    Ok(bytes)
}

fn fill<const N: usize>(to: &mut [u8], numbers: impl Iterator<Item = [u8; N]>) {
    for (to, number) in to.chunks_exact_mut(N).zip(numbers) {
        to.copy_from_slice(&number);
    }
}
