//! The optional field `dimensions`: the model's own number, or a smaller one that it was trained for.

use crate::embedding::pooling::normalize;
use crate::error::{Error, Kind, Result};
use crate::model::Manifest;

/// How many floats of each vector an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dimensions(usize);

impl Dimensions {
    /// # Errors
    /// [`Kind::Invalid`], which lists the possible numbers.
    pub(super) fn parse(requested: Option<u64>, manifest: &Manifest) -> Result<Self> {
        let Some(requested) = requested else { return Ok(Self(manifest.dimensions)) };
        let known = |&number: &usize| number as u64 == requested;
        match offered(manifest).find(known) {
            Some(number) => Ok(Self(number)),
            None => {
                let numbers: Vec<_> = offered(manifest).map(|number| number.to_string()).collect();
                let message = format!("{} gives {} dimensions, no other number", manifest.id, numbers.join(" or "));
                Err(Error::request(Kind::Invalid, "dimensions", message))
            }
        }
    }

    pub(super) fn get(self) -> usize {
        self.0
    }

    /// Shortens vectors; normalised ones are normalised again.
    pub(super) fn cut(self, vectors: &mut [Vec<f32>], normalized: bool) {
        for vector in vectors.iter_mut().filter(|vector| vector.len() > self.0) {
            vector.truncate(self.0);
            if normalized {
                normalize(vector);
            }
        }
    }
}

/// The lengths that a caller may ask for, the full one first.
pub(super) fn offered(manifest: &Manifest) -> impl Iterator<Item = usize> + '_ {
    let cuts = manifest.matryoshka_dimensions.iter().copied();
    std::iter::once(manifest.dimensions).chain(cuts.filter(|&cut| cut < manifest.dimensions))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_cut_to_length_one_and_a_whole_one_left_as_it_is() {
        let mut vectors = [vec![0.3, 0.4, 0.5], vec![0.3, 0.4]];
        Dimensions(2).cut(&mut vectors, true);
        assert_eq!(vectors, [[0.6, 0.8], [0.3, 0.4]]);
    }
}
