//! Numbers as clients write them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// A whole number, also one that is written with a fraction of zero: clients in languages with one kind of number
/// write `2.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whole<T = u64>(pub(crate) T);

impl<'de, T: TryFrom<i128>> Deserialize<'de> for Whole<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Largest whole number up to which every one has a float of its own.
        const MOST_EXACT: f64 = 9_007_199_254_740_992.0;
        struct Numbers<T>(PhantomData<T>);

        impl<T: TryFrom<i128>> Numbers<T> {
            fn of<E: Error>(number: i128) -> Result<Whole<T>, E> {
                T::try_from(number).map(Whole).map_err(|_| E::custom("a number is out of range"))
            }
        }

        impl<T: TryFrom<i128>> Visitor<'_> for Numbers<T> {
            type Value = Whole<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Self::of(number.into())
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Self::of(number.into())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                if number.fract() != 0.0 || number.abs() > MOST_EXACT {
                    return Err(E::custom("a number must be whole"));
                }
                Self::of(number as i128)
            }
        }

        deserializer.deserialize_any(Numbers(PhantomData))
    }
}

/// Reads the next value of a map as a whole number; `null` is none.
pub(crate) fn whole<'de, T: TryFrom<i128>, A: MapAccess<'de>>(map: &mut A) -> Result<Option<T>, A::Error> {
    Ok(map.next_value::<Option<Whole<T>>>()?.map(|whole| whole.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_have_a_fraction_of_zero() {
        let read = |json: &str| serde_json::from_str::<Whole<u64>>(json).ok().map(|whole| whole.0);
        assert_eq!((read("2"), read("2.0"), read("2e3")), (Some(2), Some(2), Some(2_000)));
        assert_eq!((read("2.5"), read("-1"), read("1e300"), read("\"2\"")), (None, None, None, None));
        assert_eq!(serde_json::from_str::<Whole<i64>>("-7.0").ok(), Some(Whole(-7)));
        assert_eq!(read("18446744073709551615"), Some(u64::MAX));
    }
}
