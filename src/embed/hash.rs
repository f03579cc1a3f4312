//! An embedder that needs no model, for tests and for measuring everything but the model.

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::{EmbedError, Embedded, Embedder, Purpose};

/// Hashed bags of words: texts that share words are alike, the same text always has the same vector.
///
/// For tests and continuous integration; no setting selects it, only [`super::Embedders::with`] can.
#[derive(Debug, Clone)]
pub struct HashEmbedder {
    id: String,
    dimension: usize,
}

impl HashEmbedder {
    /// An embedder with vectors of `dimension` numbers, at least 1.
    #[must_use]
    pub fn new(dimension: usize) -> Self {
        let dimension = dimension.max(1);
        Self { id: format!("hash-{dimension}/1"), dimension }
    }

    fn vector(&self, text: &str) -> Vec<f32> {
        let mut vector = vec![0.0f32; self.dimension];
        for word in words(text) {
            let digest = blake3::hash(word.to_lowercase().as_bytes());
            // Four signed places a word, so that few words collide in all of them.
            for bytes in digest.as_bytes().chunks_exact(4).take(4) {
                let number = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                let place = (number >> 1) as usize % self.dimension;
                vector[place] += if number & 1 == 0 { 1.0 } else { -1.0 };
            }
        }
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length == 0.0 {
            vector[0] = 1.0;
        } else {
            for value in &mut vector {
                *value /= length;
            }
        }
        vector
    }
}

impl Embedder for HashEmbedder {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimension(&self) -> Option<usize> {
        Some(self.dimension)
    }

    fn multilingual(&self) -> bool {
        true
    }

    fn max_tokens(&self) -> usize {
        512
    }

    fn count_tokens(&self, text: &str) -> usize {
        words(text).count()
    }

    fn embed<'a>(&'a self, texts: &'a [String], _purpose: Purpose) -> BoxFuture<'a, Result<Embedded, EmbedError>> {
        let vectors = texts.iter().map(|text| self.vector(text)).collect();
        let model_tokens = texts.iter().map(|text| self.count_tokens(text) as u64).sum();
        ready(Ok(Embedded { vectors, model_tokens })).boxed()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_alike() {
        let embedder = HashEmbedder::new(64);
        let [question, near, far] =
            ["Who locks the library?", "The porter locks the library at night.", "Invoices are due in May."]
                .map(|text| embedder.vector(text));
        assert!(cosine(&question, &near) > cosine(&question, &far) + 0.2);
        assert_eq!(question, embedder.vector("who locks THE library"));
    }

    #[test]
    fn every_vector_has_unit_length_even_of_no_words() {
        for text in ["", "...", "one", "one two three four five six seven"] {
            for dimension in [1, 3, 384] {
                let vector = HashEmbedder::new(dimension).vector(text);
                assert_eq!(vector.len(), dimension);
                assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5, "{text:?} {dimension}");
            }
        }
    }
}
