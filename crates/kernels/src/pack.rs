//! Packs weights: done once, when a model is built.

use zerocopy::IntoBytes;

use crate::lanes::{Codes, GROUP, LANES};
use crate::packed::{ALIGNMENT, Error, Shape};
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
    /// What each inner channel of x is multiplied by before it is quantized.
    pub input_scale: &'a [f32],
}

/// The packed form, whose layout [`crate::VERSION`] counts. An error where sizes do not fit or codes could saturate.
pub fn pack(weights: &Weights<'_>) -> Result<Vec<u8>, Error> {
    let Weights { codes, inner, columns, scales, bias, input_scale } = *weights;
    let shape = Shape::new(inner, columns)?;
    for (name, found, wanted) in [
        ("codes", codes.len(), inner * columns),
        ("scales", scales.len(), columns),
        ("biases", bias.len(), columns),
        ("input scales", input_scale.len(), inner),
    ] {
        if found != wanted {
            return Err(Error(format!("a product of {inner} x {columns} has {wanted} {name}, not {found}")));
        }
    }
    let (parts, length) = shape.parts();
    let mut bytes = vec![0; length];
    bytes[..ALIGNMENT].copy_from_slice(&shape.header());
    let (mut every_order, mut every_pairs, mut sums) = (Vec::new(), Vec::new(), vec![0i32; columns]);
    let panel_bytes = shape.groups() * size_of::<Codes>();
    for (panel, lines) in bytes[parts[0].clone()].chunks_exact_mut(panel_bytes).enumerate() {
        let mut extents = Vec::with_capacity(shape.groups());
        for (group, line) in lines.chunks_exact_mut(size_of::<Codes>()).enumerate() {
            let mut here: Codes = [0; LANES * GROUP];
            for column in panel * LANES..columns.min((panel + 1) * LANES) {
                for row in group * GROUP..inner.min((group + 1) * GROUP) {
                    let code = codes[row * columns + column];
                    here[column % LANES * GROUP + row % GROUP] = code;
                    sums[column] += i32::from(code);
                }
            }
            extents.push(pairs::extent(&here).ok_or_else(|| {
                let (first, last, most) = (group * GROUP, group * GROUP + GROUP - 1, pairs::MOST);
                let what = format!("two of the inner rows {first} to {last} add up to more than {most} in a column");
                Error(format!("codes could saturate: {what}"))
            })?);
            line.copy_from_slice(here.as_bytes());
        }
        let (order, pairs) = pairs::order(&extents);
        every_order.extend(order);
        every_pairs.extend(pairs);
    }
    let order = [every_pairs.as_bytes(), &every_order, sums.as_bytes()];
    let numbers = [scales, bias, input_scale].map(IntoBytes::as_bytes);
    for (part, content) in parts[1..].iter().zip(order.into_iter().chain(numbers)) {
        bytes[part.start..][..content.len()].copy_from_slice(content);
    }
    Ok(bytes)
}
