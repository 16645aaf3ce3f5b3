//! A collection's vectors: their form when it is made, the check of one that exists, and a point's own.
//!
//! | collection | vectors of a point |
//! |---|---|
//! | dense | one vector without a name |
//! | hybrid | the dense vector, and the chunk's text as `Document(model="qdrant/bm25")`, of which Qdrant makes the sparse one |
//!
//! Qdrant has made BM25's vectors itself since 1.15.2 ("Server-side Inference: BM25" in its documentation). It keeps the
//! frequencies of terms in a point and weighs them by the whole collection at query time (the modifier `idf`), so a
//! point's vector does not change when others come.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::config::HybridVectors;

/// Qdrant's own model of sparse vectors.
const BM25: &str = "qdrant/bm25";

/// What the vectors of a collection have to be.
pub struct Vectors {
    /// Of the model's vectors.
    dimensions: usize,
    /// `None`: a collection of dense vectors without a name.
    hybrid: Option<HybridVectors>,
}

/// The `vector` of a point.
#[derive(Serialize)]
#[serde(untagged)]
pub enum PointVectors<'a> {
    Dense(&'a [f32]),
    Hybrid(BTreeMap<&'a str, NamedVector<'a>>),
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum NamedVector<'a> {
    Dense(&'a [f32]),
    /// A text that Qdrant turns into a vector.
    Document {
        text: &'a str,
        model: &'static str,
    },
}

impl Vectors {
    pub fn new(dimensions: usize, hybrid: Option<HybridVectors>) -> Self {
        Self { dimensions, hybrid }
    }

    /// The request body that makes a collection with these vectors.
    pub fn create(&self) -> Value {
        let dense = json!({"size": self.dimensions, "distance": "Cosine"});
        match &self.hybrid {
            None => json!({"vectors": dense}),
            Some(HybridVectors { dense: name, sparse }) => {
                let vectors = if name.is_empty() { dense } else { json!({name: dense}) };
                json!({"vectors": vectors, "sparse_vectors": {sparse: {"modifier": "idf"}}})
            }
        }
    }

    /// Checks a collection's `config.params`.
    ///
    /// # Errors
    /// What the collection holds and what it has to hold.
    pub fn check(&self, params: &Value) -> Result<(), String> {
        let name = self.hybrid.as_ref().map_or("", |hybrid| hybrid.dense.as_str());
        let dense = if name.is_empty() { &params["vectors"] } else { &params["vectors"][name] };
        let wanted = format!("the model's have {} dimensions, compared by Cosine", self.dimensions);
        let found = match (dense["size"].as_u64(), dense["distance"].as_str()) {
            (Some(size), Some("Cosine")) if size == self.dimensions as u64 && dense["multivector_config"].is_null() => {
                return self.check_sparse(&params["sparse_vectors"]);
            }
            (Some(size), Some(distance)) => format!("vectors of {size} dimensions, compared by {distance}"),
            _ if name.is_empty() => format!("named vectors, {}", params["vectors"]),
            _ => format!("no vector named {name}, but {}", params["vectors"]),
        };
        Err(format!("holds {found}; {wanted}"))
    }

    fn check_sparse(&self, sparse_vectors: &Value) -> Result<(), String> {
        let Some(HybridVectors { sparse, .. }) = &self.hybrid else { return Ok(()) };
        match (sparse_vectors.get(sparse), sparse_vectors[sparse]["modifier"].as_str()) {
            (Some(_), Some("idf")) => Ok(()),
            // Without it a rare term weighs as much as a common one.
            (Some(_), _) => Err(format!("has the sparse vector {sparse} without the modifier idf, which BM25 needs")),
            (None, _) => Err(format!("has no sparse vector named {sparse} (EMBED_QDRANT_SPARSE_VECTOR)")),
        }
    }

    /// The vectors of a point: `vector`, and in a hybrid collection `text` for Qdrant's BM25.
    pub fn of_point<'a>(&'a self, vector: &'a [f32], text: &'a str) -> PointVectors<'a> {
        match &self.hybrid {
            None => PointVectors::Dense(vector),
            Some(HybridVectors { dense, sparse }) => PointVectors::Hybrid(BTreeMap::from([
                (dense.as_str(), NamedVector::Dense(vector)),
                (sparse.as_str(), NamedVector::Document { text, model: BM25 }),
            ])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hybrid(dense: &str, sparse: &str) -> Vectors {
        Vectors::new(2, Some(HybridVectors { dense: dense.to_owned(), sparse: sparse.to_owned() }))
    }

    #[test]
    fn a_point_has_one_vector_or_a_vector_and_a_text() {
        let json = |vectors: &Vectors| serde_json::to_value(vectors.of_point(&[0.5, 1.0], "A text.")).unwrap();
        assert_eq!(json(&Vectors::new(2, None)), json!([0.5, 1.0]));
        let document = json!({"text": "A text.", "model": "qdrant/bm25"});
        assert_eq!(json(&hybrid("dense", "bm25")), json!({"dense": [0.5, 1.0], "bm25": document}));
        // The form of LangChain's store, whose dense vector has no name.
        assert_eq!(json(&hybrid("", "langchain-sparse")), json!({"": [0.5, 1.0], "langchain-sparse": document}));
    }

    #[test]
    fn a_collection_that_it_makes_passes_its_check() {
        for vectors in [Vectors::new(2, None), hybrid("dense", "bm25"), hybrid("", "langchain-sparse")] {
            assert_eq!(vectors.check(&vectors.create()), Ok(()));
        }
    }

    #[test]
    fn a_collection_of_another_form_is_refused_by_what_it_lacks() {
        let dense = json!({"size": 2, "distance": "Cosine"});
        for (vectors, params, said) in [
            (Vectors::new(3, None), json!({"vectors": dense}), "vectors of 2 dimensions"),
            (Vectors::new(2, None), json!({"vectors": {"dense": dense}}), "named vectors"),
            (hybrid("dense", "bm25"), json!({"vectors": dense}), "no vector named dense"),
            (hybrid("dense", "bm25"), json!({"vectors": {"dense": dense}}), "no sparse vector named bm25"),
            (
                hybrid("dense", "bm25"),
                json!({"vectors": {"dense": dense}, "sparse_vectors": {"bm25": {}}}),
                "without the modifier idf",
            ),
        ] {
            let refused = vectors.check(&params).unwrap_err();
            assert!(refused.contains(said), "{refused}");
        }
    }
}
