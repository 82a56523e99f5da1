//! What an embedding model answered.

use super::usage::Usage;
use crate::error::FormatError;

/// Vectors in the order of the inputs. A provider may need several calls for one request: the parts are joined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vectors {
    /// One for each input.
    pub vectors: Vec<Vec<f32>>,
    /// What they used, where the provider says so.
    pub usage: Option<Usage>,
}

impl Vectors {
    /// Vectors whose provider counted this many tokens, if it did. Vectors themselves are no tokens.
    #[must_use]
    pub fn new(vectors: Vec<Vec<f32>>, tokens: Option<u64>) -> Self {
        Self { vectors, usage: tokens.map(|embedding| Usage { embedding, ..Usage::reported() }) }
    }

    /// Appends the vectors of the next call. What was used is known only where every call said so.
    pub fn append(&mut self, next: Self) {
        let is_first = self.vectors.is_empty();
        self.vectors.extend(next.vectors);
        self.usage = match (self.usage, next.usage) {
            (None, usage) if is_first => usage,
            (Some(mut usage), Some(more)) => {
                usage.embedding = usage.embedding.saturating_add(more.embedding);
                Some(usage)
            }
            _ => None,
        };
    }

    /// Checks that there is a vector for each of `inputs` inputs.
    ///
    /// # Errors
    /// When there are more or fewer.
    pub fn check(&self, inputs: usize) -> Result<(), FormatError> {
        let vectors = self.vectors.len();
        if vectors == inputs {
            return Ok(());
        }
        Err(FormatError::invalid(format!("the model gave {vectors} vectors for {inputs} inputs"), None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_several_calls_are_joined_in_order() {
        let mut all = Vectors::default();
        all.append(Vectors::new(vec![vec![1.0]], Some(3)));
        all.append(Vectors::new(vec![vec![2.0]], Some(4)));
        assert_eq!(all, Vectors::new(vec![vec![1.0], vec![2.0]], Some(7)));
        assert!(all.check(2).is_ok() && all.check(3).is_err());
    }

    #[test]
    fn usage_that_one_call_does_not_say_is_unknown() {
        let mut all = Vectors::default();
        all.append(Vectors::new(vec![vec![1.0]], None));
        all.append(Vectors::new(vec![vec![2.0]], Some(4)));
        assert_eq!(all.usage, None);
    }
}
