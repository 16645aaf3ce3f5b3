//! An answer that lists vectors: whole, or piece by piece while they are computed. Both have the same bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use super::dimensions::Dimensions;
use super::openai::EncodingFormat;
use super::{Api, Terms, response};
use crate::embedding::{Embeddings, Options, Prepared};
use crate::error::Result;
use crate::event::HttpResponse;
use crate::observability::call::Call;

/// Texts of one piece of a streamed answer: about 320 KB of numbers at 384 dimensions, and runs enough for many cores.
const PIECE_TEXTS: usize = 64;

/// Texts to embed, and what their answer looks like.
pub(super) struct Job {
    pub texts: Vec<String>,
    /// The contract's name for the texts.
    pub param: &'static str,
    pub options: Options,
    pub dimensions: Dimensions,
    pub format: EncodingFormat,
}

/// How an answer lists vectors.
pub(super) struct VectorList {
    /// What stands before the first vector.
    pub before: String,
    pub item: Item,
    pub format: EncodingFormat,
    /// What stands after the last vector.
    pub after: String,
}

/// What stands for each vector.
#[derive(Debug, Clone, Copy)]
pub(super) enum Item {
    /// The vector itself.
    Vector,
    /// OpenAI's object around it.
    Embedding,
}

/// An answer of a route: whole, or with vectors that are still to be computed.
pub enum Reply {
    Whole(HttpResponse),
    Stream(Box<VectorStream>),
}

/// An answer that is computed piece by piece.
pub struct VectorStream {
    /// Status and headers; no body.
    pub head: HttpResponse,
    prepared: Prepared,
    dimensions: Dimensions,
    normalize: bool,
    list: VectorList,
    /// Vectors written so far.
    written: usize,
}

impl Reply {
    /// Status and headers; of a whole answer the body too.
    pub fn head(&self) -> &HttpResponse {
        match self {
            Self::Whole(response) => response,
            Self::Stream(stream) => &stream.head,
        }
    }

    pub(super) fn head_mut(&mut self) -> &mut HttpResponse {
        match self {
            Self::Whole(response) => response,
            Self::Stream(stream) => &mut stream.head,
        }
    }
}

impl Job {
    /// The most bytes that one vector takes in an answer, with what stands around it.
    pub fn vector_bytes(&self) -> usize {
        self.format.vector_bytes(self.dimensions.get())
    }

    /// One vector a text.
    pub async fn embed(self, api: &Api, terms: Terms<'_>) -> Result<Embeddings> {
        let (dimensions, normalize) = (self.dimensions, self.options.normalize);
        let prepared = self.prepare(api, terms).await?;
        let mut done = api.run(prepared, terms.call).await?;
        dimensions.cut(&mut done.vectors, normalize);
        Ok(done)
    }

    async fn prepare(self, api: &Api, terms: Terms<'_>) -> Result<Prepared> {
        let vector_bytes = self.vector_bytes();
        api.admit(self.texts.len(), self.param, vector_bytes, self.format, terms)?;
        api.prepare(self.texts, self.options, self.param, terms).await
    }

    /// The answer that `list` describes, given the tokens and the cut texts.
    pub async fn answer(
        self,
        api: &Api,
        terms: Terms<'_>,
        list: impl FnOnce(&Prepared) -> VectorList,
    ) -> Result<Reply> {
        let characters = self.texts.iter().map(|text| text.chars().count()).sum();
        let (dimensions, normalize) = (self.dimensions, self.options.normalize);
        let prepared = self.prepare(api, terms).await?;
        let list = list(&prepared);
        if terms.streamed {
            // What cannot end in time is refused while that can still be said.
            api.embedder.check_time(&prepared, Api::time_left(terms.call))?;
            let mut head = response::with_type("application/json", Vec::new());
            let (tokens, truncated) = (prepared.total_tokens(), prepared.truncated());
            terms.call.meter.note(|m| m.truncated_count += truncated.len());
            response::describe_texts(&mut head, characters, tokens, truncated, prepared.tokenize());
            let stream = VectorStream { head, prepared, dimensions, normalize, list, written: 0 };
            return Ok(Reply::Stream(Box::new(stream)));
        }
        let mut done = api.run(prepared, terms.call).await?;
        dimensions.cut(&mut done.vectors, normalize);
        response::of(done, characters, move |done| response::with_type("application/json", list.whole(&done.vectors)))
            .await
            .map(Reply::Whole)
    }
}

impl VectorList {
    fn whole(&self, vectors: &[Vec<f32>]) -> Vec<u8> {
        let mut body = self.before.clone().into_bytes();
        self.write(0, vectors, &mut body);
        body.extend_from_slice(self.after.as_bytes());
        body
    }

    /// Writes `vectors`, of which the first one is the answer's vector number `first`.
    fn write(&self, first: usize, vectors: &[Vec<f32>], body: &mut Vec<u8>) {
        for (index, values) in vectors.iter().enumerate().map(|(place, values)| (first + place, values)) {
            if index > 0 {
                body.push(b',');
            }
            let embedding = vector(values, self.format);
            let written = match self.item {
                Item::Vector => serde_json::to_writer(&mut *body, &embedding),
                Item::Embedding => {
                    serde_json::to_writer(&mut *body, &EmbeddingObject { object: "embedding", index, embedding })
                }
            };
            written.expect("numbers and strings always serialise");
        }
    }
}

impl VectorStream {
    /// The next piece of the body; `None` after the last one.
    ///
    /// # Errors
    /// Those of a run, and too little time.
    pub async fn next(&mut self, api: &Api, call: &Call) -> Result<Option<Vec<u8>>> {
        let Some(part) = self.prepared.take(PIECE_TEXTS) else { return Ok(None) };
        let mut done = api.run(part, call).await?;
        self.dimensions.cut(&mut done.vectors, self.normalize);
        let mut piece = if self.written == 0 { std::mem::take(&mut self.list.before).into_bytes() } else { Vec::new() };
        self.list.write(self.written, &done.vectors, &mut piece);
        self.written += done.vectors.len();
        if self.prepared.is_empty() {
            piece.extend_from_slice(self.list.after.as_bytes());
        }
        Ok(Some(piece))
    }
}

#[derive(Serialize)]
struct EmbeddingObject<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

/// A vector as a format writes it.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Vector<'a> {
    Float(&'a [f32]),
    Base64(String),
}

pub(super) fn vector(values: &[f32], format: EncodingFormat) -> Vector<'_> {
    match format {
        EncodingFormat::Float => Vector::Float(values),
        EncodingFormat::Base64 => {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            Vector::Base64(BASE64.encode(bytes))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_vector_arrives_to_the_bit_as_base64_and_as_numbers(
            values in proptest::collection::vec(proptest::num::f32::NORMAL | proptest::num::f32::ZERO, 0..400),
        ) {
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            let Vector::Base64(text) = vector(&values, EncodingFormat::Base64) else { unreachable!() };
            let bytes = BASE64.decode(text).unwrap();
            let received: Vec<f32> = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
            assert_eq!(bits(&received), bits(&values));
            let numbers = serde_json::to_string(&vector(&values, EncodingFormat::Float)).unwrap();
            let received: Vec<f32> = serde_json::from_str(&numbers).unwrap();
            assert_eq!(bits(&received), bits(&values));
        }
    }

    #[test]
    fn a_list_in_pieces_has_the_bytes_of_the_whole() {
        let vectors: Vec<Vec<f32>> = (0..10).map(|index| vec![index as f32, 0.5]).collect();
        for (item, format) in [(Item::Vector, EncodingFormat::Float), (Item::Embedding, EncodingFormat::Base64)] {
            let list = VectorList { before: "[".to_owned(), item, format, after: "]".to_owned() };
            let mut pieces = b"[".to_vec();
            list.write(0, &vectors[..3], &mut pieces);
            list.write(3, &vectors[3..], &mut pieces);
            pieces.push(b']');
            assert_eq!(pieces, list.whole(&vectors));
            assert_eq!(serde_json::from_slice::<Vec<serde_json::Value>>(&pieces).unwrap().len(), 10);
        }
    }
}
