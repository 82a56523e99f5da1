//! Quantities as people write them: `100k` tokens, `50ms`, `10MiB`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A number of tokens: `1500`, `100k`, `2M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tokens(pub u64);

/// A size in bytes: `65536`, `64KiB`, `10MiB`, `1GiB` (also `kB`, `MB`, `GB` by thousands).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A length of time: `50ms`, `30s`, `10m`, `1h`, `7d`, and sums such as `1h 30m`. A bare number is refused:
/// it has no unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

/// A text that is not a quantity of the kind that is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct UnitError {
    text: String,
    expected: &'static str,
}

impl Tokens {
    const EXPECTED: &str = "a number of tokens such as 1500, 100k or 2M";

    fn parse(text: &str) -> Option<Self> {
        scaled(text, &[("k", 1_000), ("K", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("", 1)]).map(Self)
    }

    fn from_number(number: u64) -> Option<Self> {
        Some(Self(number))
    }
}

impl Bytes {
    const EXPECTED: &str = "a size such as 64KiB or 10MiB";

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

    fn from_number(number: u64) -> Option<Self> {
        Some(Self(number))
    }

    /// As a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Time {
    const EXPECTED: &str = "a time with its unit, such as 50ms, 30s, 10m, 1h or 7d";

    /// This many seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// This many milliseconds.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(Duration::from_millis(ms))
    }

    fn parse(text: &str) -> Option<Self> {
        const UNITS: [(&str, u64); 5] =
            [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
        if let Some(ms) = scaled(text, &UNITS) {
            return Some(Self::from_millis(ms));
        }
        // Sums, fractions, long names and ISO 8601. It knows no days: their length is not always 24 hours.
        let signed: jiff::SignedDuration = text.parse().ok()?;
        signed.try_into().ok().map(Self)
    }

    fn from_number(_: u64) -> Option<Self> {
        None
    }
}

/// `<digits><unit>` with the first unit that is a suffix; `None` if it is not of that form or too large.
fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits_end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor = units.iter().find(|(name, _)| *name == unit.trim_start())?.1;
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

macro_rules! from_text_or_number {
    ($name:ident) => {
        impl FromStr for $name {
            type Err = UnitError;

            fn from_str(text: &str) -> Result<Self, UnitError> {
                Self::parse(text.trim())
                    .ok_or_else(|| UnitError { text: text.to_owned(), expected: Self::EXPECTED })
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Quantity;
                impl Visitor<'_> for Quantity {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($name::EXPECTED)
                    }

                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }

                    fn visit_u64<E: Error>(self, number: u64) -> Result<$name, E> {
                        $name::from_number(number).ok_or_else(|| refused(number))
                    }

                    fn visit_i64<E: Error>(self, number: i64) -> Result<$name, E> {
                        match u64::try_from(number) {
                            Ok(number) => self.visit_u64(number),
                            Err(_) => Err(refused(number)),
                        }
                    }
                }

                fn refused<E: Error>(number: impl fmt::Display) -> E {
                    E::custom(UnitError { text: number.to_string(), expected: $name::EXPECTED })
                }

                deserializer.deserialize_any(Quantity)
            }
        }
    };
}

from_text_or_number!(Tokens);
from_text_or_number!(Bytes);
from_text_or_number!(Time);

/// As people write them.
#[cfg(feature = "schema")]
mod schema {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Bytes, Time, Tokens};

    macro_rules! schema {
        ($name:ident, $json:tt) => {
            impl JsonSchema for $name {
                fn schema_name() -> std::borrow::Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!($json)
                }
            }
        };
    }

    schema!(Tokens, {
        "description": "A number of tokens: `1500`, `100k`, `2M`.",
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": "^[0-9]+ *[kKMG]?$"
    });
    schema!(Bytes, {
        "description": "A size in bytes: `65536`, `64KiB`, `10MiB`, `1GiB` (also `kB`, `MB`, `GB` by thousands).",
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": "^[0-9]+ *(B|KiB|MiB|GiB|kB|MB|GB)?$"
    });
    schema!(Time, {
        "description": "A length of time with its unit: `50ms`, `30s`, `10m`, `1h`, `7d`, and sums such as `1h 30m`.",
        "type": "string"
    });
}

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
        if self.0.subsec_nanos().is_multiple_of(1_000_000) {
            serializer.collect_str(&format_args!("{}ms", self.0.as_millis()))
        } else {
            serializer.collect_str(&format_args!("{}s {}ns", self.0.as_secs(), self.0.subsec_nanos()))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_are_read_as_written() {
        assert_eq!(Tokens::parse("100k"), Some(Tokens(100_000)));
        assert_eq!(Tokens::parse("2M"), Some(Tokens(2_000_000)));
        assert_eq!(Bytes::parse("64 KiB"), Some(Bytes(65_536)));
        assert_eq!(Time::parse("1h"), Some(Time::from_secs(3_600)));
        assert_eq!(Time::parse("7d"), Some(Time::from_secs(7 * 86_400)));
    }

    #[test]
    fn times_may_be_sums_fractions_and_long_names() {
        for (text, seconds) in [
            ("1h 30m", 5_400),
            ("1h30m", 5_400),
            ("0.5h", 1_800),
            ("15 min", 900),
            ("2 minutes", 120),
            ("PT30S", 30),
        ] {
            assert_eq!(text.parse(), Ok(Time::from_secs(seconds)), "{text}");
        }
        assert_eq!("250us".parse(), Ok(Time(Duration::from_micros(250))));
    }

    #[test]
    fn what_has_no_unit_or_overflows_is_refused() {
        for text in ["", "k", "-1k", "1.5k", "1x", "99999999999999999999", "18446744073709551615k"] {
            assert_eq!(Tokens::parse(text), None, "{text}");
        }
        for text in ["", "50", "soon", "-5s", "5s ago", "99999999999999999999d"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
        for json in ["50", "-50", "\"50\""] {
            let error = serde_json::from_str::<Time>(json).unwrap_err().to_string();
            assert!(error.starts_with("`") && error.contains("a time with its unit"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_time_is_written_so_that_it_can_be_read_again(s in 0..u64::from(u32::MAX), ns in 0..1_000_000_000_u32) {
            let time = Time(Duration::new(s, ns));
            let text = serde_json::to_string(&time).unwrap();
            prop_assert_eq!(serde_json::from_str::<Time>(&text).unwrap(), time);
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,24}") {
            let _ = (Tokens::parse(&text), Bytes::parse(&text), Time::parse(&text));
        }
    }
}
