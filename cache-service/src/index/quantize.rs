//! Unit vectors as 8-bit integers: a quarter of the memory and a faster scan, at an error of about 0.003.

/// A vector of small integers and what makes its length 1 again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Quantized {
    pub(super) values: Vec<i8>,
    /// 1 / length of `values`; 0 for a vector without direction.
    pub(super) inverse_length: f32,
}

/// Scales the largest component to 127.
#[expect(clippy::cast_possible_truncation, reason = "the scaled components are within -127 to 127")]
pub(super) fn quantize(vector: &[f32]) -> Quantized {
    let largest = vector.iter().fold(0f32, |max, x| max.max(x.abs()));
    let scale = if largest > 0.0 && largest.is_finite() { 127.0 / largest } else { 0.0 };
    let values: Vec<i8> = vector.iter().map(|x| (x * scale).round() as i8).collect();
    let inverse_length = inverse_length(&values);
    Quantized { values, inverse_length }
}

/// 1 / length; 0 for a vector without direction.
pub(super) fn inverse_length(values: &[i8]) -> f32 {
    match dot(values, values) {
        0 => 0.0,
        square => 1.0 / (square as f32).sqrt(),
    }
}

/// The inner product; a plain loop that compilers turn into vector instructions.
pub(super) fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    fn quantized_cosine(a: &[f32], b: &[f32]) -> f32 {
        let (a, b) = (quantize(a), quantize(b));
        dot(&a.values, &b.values) as f32 * a.inverse_length * b.inverse_length
    }

    #[test]
    fn a_vector_without_direction_is_similar_to_nothing() {
        for vector in [[0.0, 0.0], [f32::NAN, 0.0], [f32::INFINITY, 1.0]] {
            assert_eq!(quantized_cosine(&vector, &[1.0, 0.0]), 0.0);
        }
    }

    proptest! {
        #[test]
        fn similarity_survives_quantisation(
            a in proptest::collection::vec(-1f32..1.0, 384),
            b in proptest::collection::vec(-1f32..1.0, 384),
        ) {
            prop_assert!((quantized_cosine(&a, &b) - cosine(&a, &b)).abs() < 0.01);
            prop_assert!((quantized_cosine(&a, &a) - 1.0).abs() < 1e-5);
        }
    }
}
