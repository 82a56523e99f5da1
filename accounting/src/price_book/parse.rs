//! Reads and checks the price book's YAML. All mistakes are reported together, each with its line.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_saphyr::Spanned;
use tollgate_schemas::money::{MoneyError, Pico};
use tollgate_schemas::tokens::TokenClass;

use super::{Price, PriceBook, Prices};

const MILLION: i128 = 1_000_000;

/// The file: a currency, other names of providers, and entries.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    currency: Spanned<String>,
    #[serde(default)]
    aliases: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    entries: Vec<Spanned<Entry>>,
}

/// One entry, with values as written: they are checked after reading, so that no mistake hides another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    provider: String,
    model: String,
    class: String,
    #[serde(default)]
    region: String,
    #[serde(default)]
    per_million: Option<Amount>,
    #[serde(default)]
    per_unit: Option<Amount>,
    from: String,
}

/// An amount as text. A bare YAML number is refused: it might have gone through a float on its way.
#[derive(Debug)]
enum Amount {
    Text(String),
    Number,
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount in quotes")
            }
            fn visit_str<E>(self, text: &str) -> Result<Amount, E> {
                Ok(Amount::Text(text.to_owned()))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Amount, E> {
                Ok(Amount::Number)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Amount, E> {
                Ok(Amount::Number)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Amount, E> {
                Ok(Amount::Number)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What is wrong with a price book.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PriceBookError {
    /// It is not YAML of the right shape.
    #[error("{0}")]
    Syntax(String),
    /// Entries that cannot be used.
    #[error("{}", list(.0))]
    Mistakes(Vec<PriceMistake>),
}

/// One wrong entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceMistake {
    /// Line in the file, from 1.
    pub line: u64,
    /// Which entry, for people: `openai/gpt-4o input`.
    pub entry: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

fn list(mistakes: &[PriceMistake]) -> String {
    let lines: Vec<_> =
        mistakes.iter().map(|m| format!("line {}: {}: {}", m.line, m.entry, m.message)).collect();
    lines.join("\n")
}

pub(super) fn parse(yaml: &str) -> Result<PriceBook, PriceBookError> {
    let file: File =
        serde_saphyr::from_str(yaml).map_err(|error| PriceBookError::Syntax(error.to_string()))?;
    let mut book = PriceBook::empty();
    let mut mistakes = Vec::new();
    match currency(&file.currency.value) {
        Ok(code) => book.currency = code,
        Err(message) => mistakes.push(mistake(&file.currency, "currency", message)),
    }
    let mut seen = HashSet::new();
    for entry in &file.entries {
        let name = format!("{}/{} {}", entry.value.provider, entry.value.model, entry.value.class);
        match read(&entry.value) {
            Ok(read) if !seen.insert(read.price.price_id.clone()) => {
                mistakes.push(mistake(entry, &name, "another entry has the same key and date".to_owned()));
            }
            Ok(read) => add(&mut book, read),
            Err(messages) => {
                mistakes.extend(messages.into_iter().map(|message| mistake(entry, &name, message)));
            }
        }
    }
    for (alias, provider) in &file.aliases {
        let message = alias_mistake(&file, alias, &provider.value);
        mistakes.extend(message.map(|message| mistake(provider, alias, message)));
    }
    if !mistakes.is_empty() {
        return Err(PriceBookError::Mistakes(mistakes));
    }
    sort(&mut book);
    book.entries = file.entries.len();
    book.aliases = file.aliases.into_iter().map(|(alias, provider)| (alias, provider.value)).collect();
    Ok(book)
}

/// Prices of two names must not mix: it would depend on the model which of them applies.
fn alias_mistake(file: &File, alias: &str, provider: &str) -> Option<String> {
    let has_entries = |name: &str| file.entries.iter().any(|entry| entry.value.provider == name);
    if has_entries(alias) {
        Some("an alias has the prices of another provider: remove it, or its own entries".to_owned())
    } else if has_entries(provider) {
        None
    } else {
        Some(format!("there are no entries of a provider `{provider}`"))
    }
}

fn mistake<T>(at: &Spanned<T>, entry: &str, message: String) -> PriceMistake {
    PriceMistake { line: at.referenced.line(), entry: entry.to_owned(), message }
}

/// A checked entry and the key it is found under.
struct Read {
    provider: String,
    model: String,
    class: TokenClass,
    region: String,
    price: Price,
}

fn read(entry: &Entry) -> Result<Read, Vec<String>> {
    let mut wrong = Vec::new();
    let mut check = |outcome: Result<(), String>| outcome.unwrap_or_else(|message| wrong.push(message));
    check(named("provider", &entry.provider));
    check(named("model", &entry.model));
    let star = entry.model.find('*');
    if star.is_some_and(|at| at + 1 != entry.model.len()) {
        check(Err("`*` is allowed only at the end of a model".to_owned()));
    }
    let class = class(&entry.class);
    let unit_price = unit_price(entry);
    let from = from(&entry.from);
    match (class, unit_price, from) {
        (Ok(class), Ok(unit_price), Ok((from_ms, from))) if wrong.is_empty() => {
            let region = if entry.region.is_empty() { String::new() } else { format!("@{}", entry.region) };
            let sku = format!("{}/{}/{}{region}", entry.provider, entry.model, class.as_str());
            let price_id = format!("{sku}#{from}");
            Ok(Read {
                provider: entry.provider.clone(),
                model: entry.model.clone(),
                class,
                region: entry.region.clone(),
                price: Price { sku, price_id, unit_price, from_ms },
            })
        }
        (class, unit_price, from) => {
            wrong.extend(class.err());
            wrong.extend(unit_price.err());
            wrong.extend(from.err());
            Err(wrong)
        }
    }
}

fn named(field: &str, value: &str) -> Result<(), String> {
    if value.trim().is_empty() { Err(format!("{field} is empty")) } else { Ok(()) }
}

fn currency(code: &str) -> Result<String, String> {
    if code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase()) {
        Ok(code.to_owned())
    } else {
        Err(format!("`{code}` is not an ISO 4217 code such as USD"))
    }
}

fn class(name: &str) -> Result<TokenClass, String> {
    TokenClass::ALL.into_iter().find(|class| class.as_str() == name).ok_or_else(|| {
        let nearest = TokenClass::ALL
            .into_iter()
            .map(TokenClass::as_str)
            .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        format!("there is no class `{name}`; did you mean `{}`?", nearest.unwrap_or_default())
    })
}

/// The price of one unit, exactly.
fn unit_price(entry: &Entry) -> Result<Pico, String> {
    let (amount, units) = match (&entry.per_million, &entry.per_unit) {
        (Some(amount), None) => (amount, MILLION),
        (None, Some(amount)) => (amount, 1),
        _ => return Err("give either per_million or per_unit".to_owned()),
    };
    let Amount::Text(text) = amount else {
        return Err("write the amount in quotes, such as \"0.15\"".to_owned());
    };
    let amount: Pico = text.parse().map_err(|error: MoneyError| error.to_string())?;
    if amount < Pico::ZERO {
        return Err(format!("`{text}` is negative"));
    }
    amount.exact_div(units).ok_or_else(|| {
        format!("`{text}` per million is not exact per token: at most 6 digits after the point")
    })
}

/// A day (from its midnight UTC) or a moment with its offset, and how it is written in ids.
fn from(text: &str) -> Result<(i64, String), String> {
    if let Ok(day) = text.parse::<Date>()
        && text.len() == 10
    {
        let midnight = day.to_zoned(TimeZone::UTC).map_err(|error| error.to_string())?;
        return Ok((midnight.timestamp().as_millisecond(), day.to_string()));
    }
    match text.parse::<Timestamp>() {
        Ok(at) => Ok((at.as_millisecond(), at.to_string())),
        Err(_) => {
            Err(format!("from `{text}` is neither a day (2024-07-18) nor a moment (2024-07-18T10:00:00Z)"))
        }
    }
}

fn add(book: &mut PriceBook, read: Read) {
    let Read { provider, model, class, region, price } = read;
    let prices = match model.strip_suffix('*') {
        None => book.exact.entry(provider).or_default().entry(model).or_default(),
        Some(prefix) => {
            let prefixes = book.prefixes.entry(provider).or_default();
            let at = prefixes.iter().position(|(known, _)| known == prefix).unwrap_or_else(|| {
                prefixes.push((prefix.to_owned(), Prices::new()));
                prefixes.len() - 1
            });
            &mut prefixes[at].1
        }
    };
    prices.entry((class, region)).or_default().push(price);
}

fn sort(book: &mut PriceBook) {
    let oldest_first = |prices: &mut Prices| {
        prices.values_mut().for_each(|dated| dated.sort_by_key(|price| price.from_ms));
    };
    book.exact.values_mut().flat_map(HashMap::values_mut).for_each(oldest_first);
    for prefixes in book.prefixes.values_mut() {
        prefixes.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        prefixes.iter_mut().for_each(|(_, prices)| oldest_first(prices));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fields: &str) -> String {
        format!("currency: USD\nentries:\n  - {{ {fields} }}\n")
    }

    fn check(fields: &str, expected: &str) {
        let error = PriceBook::parse(&entry(fields)).unwrap_err().to_string();
        assert!(error.contains(expected), "`{expected}` is not in `{error}`");
    }

    #[test]
    fn wrong_entries_say_what_to_write() {
        check(
            "provider: p, model: m, class: imput, per_unit: \"1\", from: 2024-01-01",
            "did you mean `input`",
        );
        check("provider: p, model: m, class: input, from: 2024-01-01", "either per_million or per_unit");
        check("provider: p, model: m, class: input, per_unit: 0.15, from: 2024-01-01", "in quotes");
        check("provider: p, model: m, class: input, per_unit: \"-1\", from: 2024-01-01", "negative");
        check("provider: p, model: m, class: input, per_unit: \"1\", from: 2024-13-01", "neither a day");
        check(
            "provider: p, model: m, class: input, per_unit: \"1\", from: 2024-01-01T00:00",
            "neither a day",
        );
        check(
            "provider: p, model: \"m*x\", class: input, per_unit: \"1\", from: 2024-01-01",
            "only at the end",
        );
        check(
            "provider: \"\", model: m, class: input, per_unit: \"1\", from: 2024-01-01",
            "provider is empty",
        );
        check("provider: p, model: m, class: input, per_unti: \"1\", from: 2024-01-01", "per_unti");
    }

    #[test]
    fn a_price_that_is_not_exact_per_token_is_refused_by_name() {
        check(
            "provider: openai, model: gpt-x, class: input, per_million: \"0.1234567\", from: 2024-01-01",
            "line 3: openai/gpt-x input: `0.1234567` per million is not exact per token",
        );
    }

    #[test]
    fn all_mistakes_are_reported_at_once_with_their_lines() {
        let yaml = r#"
currency: dollars
entries:
  - { provider: p, model: a, class: input, per_million: "x", from: soon }
  - { provider: p, model: b, class: input, per_million: "1", from: 2024-01-01 }
  - { provider: p, model: b, class: input, per_million: "2", from: 2024-01-01 }
"#;
        let PriceBookError::Mistakes(mistakes) = PriceBook::parse(yaml).unwrap_err() else { panic!() };
        let lines: Vec<_> = mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [2, 4, 4, 6], "{mistakes:?}");
        assert!(mistakes[3].message.contains("same key and date"));
    }

    #[test]
    fn an_alias_names_a_provider_with_entries_and_has_none_itself() {
        let aliased = |aliases: &str| {
            let entry = "provider: p, model: m, class: input, per_unit: \"1\", from: 2024-01-01";
            format!("aliases: {{ {aliases} }}\n{}", self::entry(entry))
        };
        assert!(PriceBook::parse(&aliased("q: p, r: p")).is_ok());
        for (aliases, expected) in [
            ("q: s", "line 1: q: there are no entries of a provider `s`"),
            ("q: p, r: q", "line 1: r: there are no entries of a provider `q`"),
            ("p: p", "line 1: p: an alias has the prices of another provider"),
        ] {
            let error = PriceBook::parse(&aliased(aliases)).unwrap_err().to_string();
            assert!(error.contains(expected), "`{expected}` is not in `{error}`");
        }
    }

    #[test]
    fn broken_yaml_names_the_line() {
        let error = PriceBook::parse("currency: USD\nentries: [").unwrap_err();
        assert!(error.to_string().contains("line"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn hostile_text_never_panics(text in "\\PC{0,200}") {
            let _ = PriceBook::parse(&text);
            let _ = PriceBook::parse(&entry(&text));
        }

        #[test]
        fn a_price_per_million_is_exact_per_token(micros in 0_u32..) {
            let amount = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            let yaml = entry(&format!("provider: p, model: m, class: input, per_million: \"{amount}\", from: 2024-01-01"));
            let book = PriceBook::parse(&yaml).unwrap();
            let key = super::super::PriceKey { provider: "p", model: "m", region: "", class: TokenClass::Input };
            let price = book.lookup(&key, i64::MAX).unwrap().unit_price;
            proptest::prop_assert_eq!(price.times(1_000_000).unwrap(), amount.parse().unwrap());
        }
    }
}
