//! From a graph's output to one vector: pooling, the mean over a long text's windows, normalisation to length 1.

use super::session::Output;
use crate::model::Pooling;

/// One vector `[width]` from a run's output: its only row, or its rows pooled as the manifest says.
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

/// Scales `vector` to length 1 (L2); a vector of zeros stays as it is.
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

    proptest::proptest! {
        #[test]
        fn a_mean_lies_between_its_rows_and_of_equal_rows_is_the_row(
            rows in proptest::collection::vec(proptest::collection::vec(-1e3f32..1e3, 7), 1..40),
        ) {
            let of = mean(rows.iter().map(Vec::as_slice));
            for (place, value) in of.iter().enumerate() {
                let column = rows.iter().map(|row| row[place]);
                let (low, high) = column.fold((f32::MAX, f32::MIN), |(low, high), x| (low.min(x), high.max(x)));
                assert!((low..=high).contains(value), "{value} of {low}..={high}");
            }
            let equal = vec![rows[0].as_slice(); rows.len()];
            // Exact: the sum of up to 40 equal f32 has room in an f64.
            assert_eq!(mean(equal.into_iter()), rows[0]);
        }

        #[test]
        fn a_vector_of_any_length_gets_length_one_and_keeps_its_direction(
            vector in proptest::collection::vec(-1e6f32..1e6, 1..400),
        ) {
            let mut unit = vector.clone();
            normalize(&mut unit);
            let length: f64 = unit.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
            assert!(vector.iter().all(|&x| x == 0.0) || (length - 1.0).abs() < 1e-5, "{length}");
            assert!(vector.iter().zip(&unit).all(|(a, b)| a.signum() == b.signum() || *b == 0.0));
        }
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
