//! The document's own vector: the mean of its chunks' vectors, of length 1, summed up while they are written.

use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::record::{Document, Place, Record};

use super::encoder::bad_state;

/// Sums over the chunks so far. In double precision and in the chunks' order, so that a document that was
/// interrupted ends with the same bits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DocumentVector {
    /// `[dimensions]` float64, little-endian, in base64: decimal numbers would not come back exactly.
    #[serde(with = "base64_floats")]
    sum: Vec<f64>,
    chunks: usize,
    tokens: usize,
    /// The furthest character of any chunk.
    end: usize,
}

impl DocumentVector {
    /// Empty sums, or those that a checkpoint's `state` holds.
    pub fn open(dimensions: usize, state: Option<&[u8]>) -> Result<Self> {
        let Some(state) = state else {
            return Ok(Self { sum: vec![0.0; dimensions], chunks: 0, tokens: 0, end: 0 });
        };
        let read: Self = serde_json::from_slice(state).map_err(bad_state)?;
        match read.sum.len() == dimensions {
            true => Ok(read),
            false => Err(bad_state(format!("{} dimensions, the model has {dimensions}", read.sum.len()))),
        }
    }

    pub fn state(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and text are JSON")
    }

    pub fn add(&mut self, record: &Record) {
        self.chunks += 1;
        self.tokens += record.tokens;
        self.end = self.end.max(record.end);
        self.sum.iter_mut().zip(&record.vector).for_each(|(sum, &value)| *sum += f64::from(value));
    }

    /// The record that stands for the document; `None` for one without chunks.
    pub fn record(&self, document: &Document) -> Option<Record> {
        let length = self.sum.iter().map(|value| value * value).sum::<f64>().sqrt();
        (self.chunks > 0).then(|| Record {
            id: Uuid::new_v5(&Uuid::NAMESPACE_URL, document.uri().as_bytes()),
            chunk: self.chunks,
            start: 0,
            end: self.end,
            tokens: self.tokens,
            text: String::new(),
            place: Place::default(),
            fields: serde_json::Map::new(),
            // Vectors that cancel out have no direction; zero says so.
            vector: self.sum.iter().map(|value| if length > 0.0 { (value / length) as f32 } else { 0.0 }).collect(),
        })
    }
}

mod base64_floats {
    use base64::Engine as _;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    use super::BASE64;

    pub fn serialize<S: Serializer>(floats: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let bytes = BASE64.decode(String::deserialize(deserializer)?).map_err(D::Error::custom)?;
        let (floats, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(D::Error::custom("not a whole number of floats"));
        }
        Ok(floats.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
    }
}
