//! Quantities as people write them: `100k` tokens, `50ms`, `10MiB`.

use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A number of tokens: `1500`, `100k`, `2M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tokens(pub u64);

/// A size in bytes: `65536`, `64KiB`, `10MiB`, `1GiB` (also `kB`, `MB`, `GB` by thousands).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A length of time: `50ms`, `5s`, `10m`, `1h`, `7d`. A bare number is refused: it has no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl Tokens {
    fn parse(text: &str) -> Option<Self> {
        scaled(text, &[("k", 1_000), ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("", 1)]).map(Self)
    }
}

impl Bytes {
    fn parse(text: &str) -> Option<Self> {
        const UNITS: [(&str, u64); 8] = [
            ("KiB", 1 << 10),
            ("MiB", 1 << 20),
            ("GiB", 1 << 30),
            ("kB", 1_000),
            ("MB", 1_000_000),
            ("GB", 1_000_000_000),
            ("B", 1),
            ("", 1),
        ];
        scaled(text, &UNITS).map(Self)
    }

    /// As a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Time {
    fn parse(text: &str) -> Option<Self> {
        const UNITS: [(&str, u64); 5] =
            [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        scaled(text, &UNITS).map(|ms| Self(Duration::from_millis(ms)))
    }
}

/// `<digits><unit>` with the first unit that is a suffix; none when it is not of that form or too large.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits_end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

macro_rules! from_text_or_number {
    ($name:ident, $expecting:literal, $number:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Quantity;
                impl Visitor<'_> for Quantity {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        $name::parse(text.trim())
                            .ok_or_else(|| E::custom(format!("`{text}` is not {}", $expecting)))
                    }
                    fn visit_u64<E: Error>(self, number: u64) -> Result<$name, E> {
                        let read: fn(u64) -> Option<$name> = $number;
                        read(number).ok_or_else(|| E::custom(format!("`{number}` is not {}", $expecting)))
                    }
                    fn visit_i64<E: Error>(self, number: i64) -> Result<$name, E> {
                        match u64::try_from(number) {
                            Ok(number) => self.visit_u64(number),
                            Err(_) => Err(E::custom(format!("`{number}` is not {}", $expecting))),
                        }
                    }
                }
                deserializer.deserialize_any(Quantity)
            }
        }
    };
}

from_text_or_number!(Tokens, "a number of tokens such as 1500, 100k or 2M", |n| Some(Tokens(n)));
from_text_or_number!(Bytes, "a size such as 64KiB or 10MiB", |n| Some(Bytes(n)));
from_text_or_number!(Time, "a time with its unit, such as 50ms, 5s, 10m, 1h or 7d", |_| None);

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{}ms", self.0.as_millis()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_written() {
        assert_eq!(Tokens::parse("100k"), Some(Tokens(100_000)));
        assert_eq!(Tokens::parse("2M"), Some(Tokens(2_000_000)));
        assert_eq!(Bytes::parse("64 KiB"), Some(Bytes(65_536)));
        assert_eq!(Time::parse("1h"), Some(Time(Duration::from_secs(3600))));
    }

    #[test]
    fn what_has_no_unit_or_overflows_is_refused() {
        for text in ["", "k", "-1k", "1.5k", "1x", "99999999999999999999", "18446744073709551615k"] {
            assert_eq!(Tokens::parse(text), None, "{text}");
        }
        assert_eq!(Time::parse("50"), None);
        assert!(serde_json::from_str::<Time>("50").is_err());
    }
}
