//! Exact money: an integer number of 1e-12 currency units. No float ever touches it.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Neg, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An amount in pico-currency (1e-12 of the currency unit): the ledger's `Decimal(38,12)`.
///
/// Written as a decimal string (`"0.000002500000"`), because a JSON number would be read as a float.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pico(pub i128);

/// Digits after the decimal point.
pub const SCALE: u32 = 12;
const ONE: i128 = 1_000_000_000_000;
/// `Decimal(38,12)` holds 38 digits.
const LIMIT: i128 = 10_i128.pow(38) - 1;

/// Why a text is not an amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not of the form `-12.345`.
    #[error("`{0}` is not a decimal amount such as 2.50")]
    Malformed(String),
    /// More than 12 digits after the point.
    #[error("`{0}` has more than 12 digits after the point")]
    TooPrecise(String),
    /// More than 38 digits.
    #[error("the amount does not fit 38 digits")]
    Overflow,
}

impl Pico {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `quantity` times this unit price, exactly.
    ///
    /// # Errors
    /// [`MoneyError::Overflow`] when the product does not fit `Decimal(38,12)`.
    pub fn times(self, quantity: u64) -> Result<Self, MoneyError> {
        self.0
            .checked_mul(i128::from(quantity))
            .filter(|product| product.abs() <= LIMIT)
            .map(Self)
            .ok_or(MoneyError::Overflow)
    }

    /// This amount divided by `divisor` when that is exact; a price per million becomes a price per token.
    #[must_use]
    pub fn exact_div(self, divisor: i128) -> Option<Self> {
        (divisor != 0 && self.0 % divisor == 0).then(|| Self(self.0 / divisor))
    }

    /// Rounded half to even to `digits` after the point; for reports only, never before the last step.
    #[must_use]
    pub fn round_half_even(self, digits: u32) -> Self {
        if digits >= SCALE {
            return self;
        }
        let unit = 10_i128.pow(SCALE - digits);
        let (quotient, rest) = (self.0.div_euclid(unit), self.0.rem_euclid(unit));
        let up = rest * 2 > unit || (rest * 2 == unit && quotient % 2 != 0);
        Self((quotient + i128::from(up)) * unit)
    }

    /// As text with exactly `digits` after the point, rounded half to even.
    #[must_use]
    pub fn to_fixed(self, digits: u32) -> String {
        let rounded = self.round_half_even(digits);
        let sign = if rounded.0 < 0 { "-" } else { "" };
        let (whole, fraction) =
            (rounded.0.unsigned_abs() / ONE as u128, rounded.0.unsigned_abs() % ONE as u128);
        if digits == 0 {
            return format!("{sign}{whole}");
        }
        let fraction = format!("{fraction:012}");
        format!("{sign}{whole}.{}", &fraction[..digits.min(SCALE) as usize])
    }
}

impl fmt::Display for Pico {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_fixed(SCALE))
    }
}

impl fmt::Debug for Pico {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pico {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MoneyError::Malformed(text.to_owned());
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
            return Err(malformed());
        }
        let kept = fraction.trim_end_matches('0');
        if kept.len() > SCALE as usize {
            return Err(MoneyError::TooPrecise(text.to_owned()));
        }
        if whole.len() > 38 {
            return Err(MoneyError::Overflow);
        }
        let whole: i128 = whole.parse().map_err(|_| MoneyError::Overflow)?;
        let fraction: i128 = format!("{kept:0<12}").parse().map_err(|_| malformed())?;
        let amount =
            whole.checked_mul(ONE).and_then(|w| w.checked_add(fraction)).ok_or(MoneyError::Overflow)?;
        if amount > LIMIT {
            return Err(MoneyError::Overflow);
        }
        Ok(Self(if negative { -amount } else { amount }))
    }
}

impl Add for Pico {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Pico {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Pico {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Sum for Pico {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, Add::add)
    }
}

impl Serialize for Pico {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pico {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Pico {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,12})?$" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_million_tokens_at_a_fifth_of_a_micro_dollar_cost_twenty_cents() {
        let price: Pico = "0.0000002".parse().unwrap();
        assert_eq!(price.times(1_000_000).unwrap().to_string(), "0.200000000000");
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", ".", "1.", ".5", "1e3", "+1", "0x1", "1,5", "--1", "1.0000000000001", " 1"] {
            assert!(text.parse::<Pico>().is_err(), "{text}");
        }
    }

    #[test]
    fn rounding_goes_half_to_even() {
        let round = |text: &str| text.parse::<Pico>().unwrap().to_fixed(2);
        assert_eq!(round("0.125"), "0.12");
        assert_eq!(round("0.135"), "0.14");
        assert_eq!(round("-0.125"), "-0.12");
        assert_eq!(round("2.5"), "2.50");
    }

    #[test]
    fn products_that_do_not_fit_are_refused() {
        assert_eq!(Pico(LIMIT).times(2), Err(MoneyError::Overflow));
    }

    proptest! {
        #[test]
        fn text_and_amount_agree(units in -LIMIT..=LIMIT) {
            let amount = Pico(units);
            prop_assert_eq!(amount.to_string().parse::<Pico>().unwrap(), amount);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = text.parse::<Pico>();
        }
    }
}
