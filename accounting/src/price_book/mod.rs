//! The dated price book: what one unit of a token class costs at a moment. Pure; no I/O, no clock.
//!
//! Invariants: a price is an exact [`Pico`] per unit, never rounded; a provider has prices of its own or those of
//! the one that it is an alias of, never a mixture; the entry of a sku that began last
//! before a moment is the one that applies at it; the most specific entry wins (exact model before the
//! longest wildcard, then region before no region); `sku` and `price_id` depend on the entry's key and
//! date alone, so that they stay the same when other entries come and go.

mod parse;

use std::collections::HashMap;

use tollgate_schemas::money::Pico;
use tollgate_schemas::tokens::TokenClass;

pub use parse::{PriceBookError, PriceMistake};

/// All prices, of all times, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceBook {
    currency: String,
    /// Other names of providers: alias → provider.
    aliases: HashMap<String, String>,
    /// Exact models: provider → model → prices.
    exact: HashMap<String, HashMap<String, Prices>>,
    /// Wildcards: provider → prefixes with their prices, longest first.
    prefixes: HashMap<String, Vec<(String, Prices)>>,
    entries: usize,
}

/// Prices of one model: by class and region, oldest first.
type Prices = HashMap<(TokenClass, String), Vec<Price>>;

/// The key of a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceKey<'a> {
    /// The company that serves the model.
    pub provider: &'a str,
    /// The model's name at the backend.
    pub model: &'a str,
    /// Region of the backend; empty if it has none.
    pub region: &'a str,
    /// What is counted.
    pub class: TokenClass,
}

/// An entry of the price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// What is sold: `provider/model/class`, with `@region` if the price is for one region.
    pub sku: String,
    /// The sku and the day (or moment) from which this price applies: `…#2024-07-18`.
    pub price_id: String,
    /// Price of one unit (one token, one image …).
    pub unit_price: Pico,
    /// From when it applies, ms since the Unix epoch.
    pub from_ms: i64,
}

impl PriceBook {
    /// Reads a price book from YAML.
    ///
    /// # Errors
    /// With every mistake in it, each with its line.
    pub fn parse(yaml: &str) -> Result<Self, PriceBookError> {
        parse::parse(yaml)
    }

    /// A price book without prices: everything is unpriced.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            currency: "USD".to_owned(),
            aliases: HashMap::new(),
            exact: HashMap::new(),
            prefixes: HashMap::new(),
            entries: 0,
        }
    }

    /// ISO 4217 code, the same for every price.
    #[must_use]
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// How many entries it has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The price that applies at `at_ms` (ms since the Unix epoch); `None` if no entry fits.
    #[must_use]
    pub fn lookup(&self, key: &PriceKey<'_>, at_ms: i64) -> Option<&Price> {
        let provider = self.aliases.get(key.provider).map_or(key.provider, String::as_str);
        let exact = self.exact.get(provider).and_then(|models| models.get(key.model));
        let wildcards = self
            .prefixes
            .get(provider)
            .into_iter()
            .flatten()
            .filter(|(prefix, _)| key.model.starts_with(prefix.as_str()))
            .map(|(_, prices)| prices);
        exact.into_iter().chain(wildcards).find_map(|prices| {
            let regions = if key.region.is_empty() { &[""][..] } else { &[key.region, ""][..] };
            regions.iter().find_map(|region| {
                let dated = prices.get(&(key.class, (*region).to_owned()))?;
                dated.iter().rfind(|price| price.from_ms <= at_ms)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    const BOOK: &str = r#"
currency: USD
entries:
  - { provider: openai, model: gpt-4o-mini, class: input, per_million: "0.15", from: 2024-07-18 }
  - { provider: openai, model: gpt-4o-mini, class: input, per_million: "0.12", from: 2025-06-01T12:00:00Z }
  - { provider: openai, model: "gpt-4o*", class: input, per_million: "2.50", from: 2024-05-13 }
  - { provider: openai, model: "gpt-4o-mini*", class: input, per_million: "0.20", from: 2024-01-01 }
  - { provider: openai, model: "gpt-4o-mini*", class: input, region: eu, per_million: "0.22", from: 2024-01-01 }
  - { provider: openai, model: dall-e-3, class: image, per_unit: "0.04", from: 2023-11-06 }
"#;

    fn check(model: &str, region: &str, class: TokenClass, at: &str, expected: Option<(&str, &str)>) {
        let book = PriceBook::parse(BOOK).unwrap();
        let at_ms = at.parse::<Timestamp>().unwrap().as_millisecond();
        let key = PriceKey { provider: "openai", model, region, class };
        let found =
            book.lookup(&key, at_ms).map(|price| (price.unit_price.to_fixed(8), price.price_id.as_str()));
        let found = found.as_ref().map(|(price, id)| (price.as_str(), *id));
        assert_eq!(found, expected, "{model} {region} {at}");
    }

    #[test]
    fn the_next_entry_of_a_sku_ends_the_one_before_to_the_millisecond() {
        let input = TokenClass::Input;
        let old = Some(("0.00000015", "openai/gpt-4o-mini/input#2024-07-18"));
        let new = Some(("0.00000012", "openai/gpt-4o-mini/input#2025-06-01T12:00:00Z"));
        check("gpt-4o-mini", "", input, "2024-07-18T00:00:00Z", old);
        check("gpt-4o-mini", "", input, "2025-06-01T11:59:59.999Z", old);
        check("gpt-4o-mini", "", input, "2025-06-01T12:00:00Z", new);
        check("gpt-4o-mini", "", input, "2030-01-01T00:00:00Z", new);
    }

    #[test]
    fn before_the_first_date_of_the_exact_model_a_wildcard_may_apply() {
        let wildcard = Some(("0.00000020", "openai/gpt-4o-mini*/input#2024-01-01"));
        check("gpt-4o-mini", "", TokenClass::Input, "2024-07-17T23:59:59.999Z", wildcard);
        check("gpt-4o-mini", "", TokenClass::Input, "2023-12-31T23:59:59.999Z", None);
    }

    #[test]
    fn the_longest_wildcard_wins() {
        let at = "2026-01-01T00:00:00Z";
        let mini = Some(("0.00000020", "openai/gpt-4o-mini*/input#2024-01-01"));
        check("gpt-4o-mini-2024-07-18", "", TokenClass::Input, at, mini);
        let big = Some(("0.00000250", "openai/gpt-4o*/input#2024-05-13"));
        check("gpt-4o-2024-08-06", "", TokenClass::Input, at, big);
    }

    #[test]
    fn a_price_of_the_region_comes_before_the_price_of_all_regions() {
        let at = "2026-01-01T00:00:00Z";
        let eu = Some(("0.00000022", "openai/gpt-4o-mini*/input@eu#2024-01-01"));
        check("gpt-4o-mini-x", "eu", TokenClass::Input, at, eu);
        let elsewhere = Some(("0.00000020", "openai/gpt-4o-mini*/input#2024-01-01"));
        check("gpt-4o-mini-x", "us", TokenClass::Input, at, elsewhere);
    }

    #[test]
    fn what_is_not_in_the_book_has_no_price() {
        let at = "2026-01-01T00:00:00Z";
        check("gpt-5", "", TokenClass::Input, at, None);
        check("gpt-4o-mini", "", TokenClass::Output, at, None);
        check(
            "dall-e-3",
            "",
            TokenClass::Image,
            at,
            Some(("0.04000000", "openai/dall-e-3/image#2023-11-06")),
        );
        let key = PriceKey { provider: "azure", model: "gpt-4o", region: "", class: TokenClass::Input };
        assert_eq!(PriceBook::parse(BOOK).unwrap().lookup(&key, i64::MAX), None);
    }

    #[test]
    fn an_alias_has_the_prices_of_its_provider() {
        let book = PriceBook::parse(&format!("aliases: {{ my-openai: openai }}{BOOK}")).unwrap();
        let price = |provider| {
            let key = PriceKey { provider, model: "gpt-4o-mini", region: "", class: TokenClass::Input };
            book.lookup(&key, i64::MAX).map(|price| price.price_id.as_str())
        };
        assert_eq!(price("my-openai"), Some("openai/gpt-4o-mini/input#2025-06-01T12:00:00Z"));
        assert_eq!(price("my-openai"), price("openai"));
    }

    #[test]
    fn the_order_of_the_entries_does_not_matter() {
        let (head, entries) = BOOK.split_once("entries:\n").unwrap();
        let mut lines: Vec<_> = entries.lines().collect();
        lines.reverse();
        let turned = format!("{head}entries:\n{}\n", lines.join("\n"));
        assert_eq!(PriceBook::parse(&turned).unwrap(), PriceBook::parse(BOOK).unwrap());
    }

    #[test]
    fn the_price_book_that_is_shipped_prices_todays_models() {
        let file = format!("{}/../deploy/config/prices.yaml", std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let book = PriceBook::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        for (provider, model) in [
            ("openai", "gpt-4o-mini-2024-07-18"),
            ("openai", "gpt-5"),
            ("anthropic", "claude-sonnet-4-5-20250929"),
            ("azure-openai", "gpt-4o"),
            ("azure", "gpt-4o"),
            ("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
            ("gemini", "gemini-2.5-flash"),
            ("google", "gemini-2.5-flash"),
            ("sim", "sim-small"),
            ("sim", "sim-large"),
            ("local", "SmolLM2-135M-Instruct"),
        ] {
            for class in [TokenClass::Input, TokenClass::Output] {
                let key = PriceKey { provider, model, region: "eu", class };
                let price = book.lookup(&key, 1_795_000_000_000).unwrap_or_else(|| panic!("{model}"));
                assert!(price.unit_price > Pico::ZERO);
            }
        }
        let embed =
            PriceKey { provider: "sim", model: "sim-embed", region: "", class: TokenClass::Embedding };
        assert!(book.lookup(&embed, 1_795_000_000_000).is_some());
    }
}
