//! From a graph's output to one vector a text: pooling for graphs that leave it to us, the mean over a
//! long text's windows, unit length.

use super::session::Output;
use crate::model::Pooling;

/// One vector from a run's output: its only row, or its rows pooled as the manifest says.
pub fn pool(output: Output, pooling: Pooling) -> Vec<f32> {
    let Output { mut values, width } = output;
    match pooling {
        _ if values.len() <= width => values,
        Pooling::Cls => {
            values.truncate(width);
            values
        }
        Pooling::Mean => mean(values.chunks_exact(width)),
    }
}

/// The mean of equally long rows, summed in f64 in their order.
pub fn mean<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]>) -> Vec<f32> {
    let count = rows.len() as f64;
    let mut sums = Vec::new();
    for row in rows {
        sums.resize(row.len(), 0.0f64);
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// Scales `vector` to length 1 (L2); a vector of zeros stays.
pub fn normalize(vector: &mut [f32]) {
    let squares: f64 = vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    if squares > 0.0 {
        let scale = 1.0 / squares.sqrt();
        for value in vector {
            *value = (f64::from(*value) * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Output {
        Output { values: vec![1.0, 2.0, 3.0, 6.0], width: 2 }
    }

    #[test]
    fn cls_takes_the_first_row_and_mean_all() {
        assert_eq!(pool(rows(), Pooling::Cls), [1.0, 2.0]);
        assert_eq!(pool(rows(), Pooling::Mean), [2.0, 4.0]);
    }

    #[test]
    fn a_pooled_output_passes_through() {
        let pooled = Output { values: vec![5.0, 6.0], width: 2 };
        assert_eq!(pool(pooled, Pooling::Mean), [5.0, 6.0]);
    }

    #[test]
    fn normalize_gives_unit_length_and_leaves_zeros() {
        let mut vector = vec![3.0, 4.0];
        normalize(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut zeros = vec![0.0; 4];
        normalize(&mut zeros);
        assert_eq!(zeros, [0.0; 4]);
    }
}
