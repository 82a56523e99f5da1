//! A usage event with its prices: one row of `usage_events`.
//!
//! Invariants: `cost` is the exact sum of the lines' costs; a line without a price costs 0 and marks the
//! row `unpriced`; the quantities, the payer and the outcome are those of the event, untouched.

mod columns;

use tollgate_eventlog::Position;
use tollgate_schemas::money::{MoneyError, Pico};
use tollgate_schemas::tokens::TokenClass;
use tollgate_schemas::usage::{BootClosed, Outcome, UsageEvent, UsageSource};

use crate::price_book::{PriceBook, PriceKey};

/// A priced event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRow {
    /// The event as it came.
    pub event: UsageEvent,
    /// Its lines with their prices, in the order of the event.
    pub lines: Vec<PricedLine>,
    /// What the event costs.
    pub cost: Pico,
    /// ISO 4217 code of all amounts of the row.
    pub currency: String,
    /// Whether a line with a quantity has no price.
    pub unpriced: bool,
    /// The event's place in the log.
    pub at: Position,
}

/// One line of usage with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PricedLine {
    /// What is counted.
    pub class: TokenClass,
    /// Number of units.
    pub qty: u64,
    /// What was sold; empty without a price.
    pub sku: String,
    /// Which entry of the price book applied; empty without a price.
    pub price_id: String,
    /// Price of one unit.
    pub unit_price: Pico,
    /// `qty` × `unit_price`, exactly.
    pub cost: Pico,
}

impl UsageRow {
    /// Prices an event by the price book of its own time.
    ///
    /// # Errors
    /// When an amount does not fit the ledger's 38 digits.
    pub fn price(event: UsageEvent, at: Position, book: &PriceBook) -> Result<Self, MoneyError> {
        let mut lines = Vec::with_capacity(event.lines.len());
        let mut cost = Pico::ZERO;
        let mut unpriced = false;
        let billed = is_billed(&event);
        for line in &event.lines {
            if !billed {
                lines.push(PricedLine::not_billed(line.class, line.qty));
                continue;
            }
            let key = PriceKey {
                provider: &event.call.provider,
                model: &event.call.model,
                region: &event.call.region,
                class: line.class,
            };
            let priced = match book.lookup(&key, event.event_time_ms) {
                Some(price) => PricedLine {
                    class: line.class,
                    qty: line.qty,
                    sku: price.sku.to_owned(),
                    price_id: price.price_id.to_owned(),
                    unit_price: price.unit_price,
                    cost: price.unit_price.times(line.qty)?,
                },
                None => {
                    unpriced |= line.qty > 0;
                    PricedLine::without_price(line.class, line.qty)
                }
            };
            cost = add(cost, priced.cost)?;
            lines.push(priced);
        }
        Ok(Self { event, lines, cost, currency: book.currency().to_owned(), unpriced, at })
    }
}

/// A provider does not charge for a stream that it broke off itself unless it reported usage: what the
/// gateway counted of it is shown, but costs nothing.
fn is_billed(event: &UsageEvent) -> bool {
    let reported = matches!(event.usage_source, UsageSource::ProviderFinal | UsageSource::ProviderPartial);
    event.outcome != Outcome::UpstreamError || reported
}

/// Price id of quantities that are shown and not charged.
const NOT_BILLED: &str = "not-billed";

impl PricedLine {
    fn not_billed(class: TokenClass, qty: u64) -> Self {
        Self { price_id: NOT_BILLED.to_owned(), ..Self::without_price(class, qty) }
    }

    fn without_price(class: TokenClass, qty: u64) -> Self {
        Self {
            class,
            qty,
            sku: String::new(),
            price_id: String::new(),
            unit_price: Pico::ZERO,
            cost: Pico::ZERO,
        }
    }
}

/// The sum; an error if it does not fit `Decimal(38, 12)`.
fn add(a: Pico, b: Pico) -> Result<Pico, MoneyError> {
    let sum = Pico(a.0.checked_add(b.0).ok_or(MoneyError::Overflow)?);
    sum.times(1)
}

/// The end of a gateway boot: one row of `boots`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootRow(pub BootClosed);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{event, position};
    use proptest::prelude::*;
    use tollgate_schemas::tokens::UsageLine;

    fn book() -> PriceBook {
        PriceBook::parse(
            "currency: USD
entries:
  - { provider: sim, model: sim-small, class: input, per_million: \"0.15\", from: 2024-01-01 }
  - { provider: sim, model: sim-small, class: output, per_million: \"0.60\", from: 2024-01-01 }
",
        )
        .unwrap()
    }

    #[test]
    fn every_line_costs_its_quantity_times_its_price() {
        let row = UsageRow::price(
            event(1, &[(TokenClass::Input, 1000), (TokenClass::Output, 100)]),
            position(7),
            &book(),
        );
        let row = row.unwrap();
        assert_eq!(row.lines[0].cost.to_string(), "0.000150000000");
        assert_eq!(row.lines[1].price_id, "sim/sim-small/output#2024-01-01");
        assert_eq!(row.cost.to_string(), "0.000210000000");
        assert!(!row.unpriced);
    }

    #[test]
    fn a_class_without_a_price_costs_nothing_and_is_marked() {
        let row = UsageRow::price(
            event(1, &[(TokenClass::Input, 10), (TokenClass::Image, 1)]),
            position(0),
            &book(),
        );
        let row = row.unwrap();
        assert!(row.unpriced);
        assert_eq!(row.cost.to_string(), "0.000001500000");
        assert_eq!(row.lines[1].sku, "");
    }

    #[test]
    fn what_was_counted_of_a_broken_stream_is_shown_and_not_charged() {
        let broken = |usage_source| UsageEvent {
            outcome: Outcome::UpstreamError,
            usage_source,
            ..event(1, &[(TokenClass::Input, 1000)])
        };
        let counted = UsageRow::price(broken(UsageSource::Counted), position(0), &book()).unwrap();
        assert_eq!((counted.cost, counted.lines[0].qty, counted.unpriced), (Pico::ZERO, 1000, false));
        assert_eq!(counted.lines[0].price_id, "not-billed");
        let reported = UsageRow::price(broken(UsageSource::ProviderPartial), position(0), &book()).unwrap();
        assert_eq!(reported.cost.to_string(), "0.000150000000");
    }

    #[test]
    fn a_quantity_of_zero_needs_no_price() {
        let row = UsageRow::price(event(1, &[(TokenClass::Image, 0)]), position(0), &book()).unwrap();
        assert!(!row.unpriced);
    }

    #[test]
    fn an_amount_that_does_not_fit_is_refused() {
        let dear = "currency: USD
entries: [{ provider: sim, model: sim-small, class: input, per_unit: \"10000000000\", from: 2024-01-01 }]";
        let book = PriceBook::parse(dear).unwrap();
        let all = event(1, &[(TokenClass::Input, u64::MAX), (TokenClass::Input, u64::MAX)]);
        assert_eq!(UsageRow::price(all, position(0), &book), Err(MoneyError::Overflow));
    }

    proptest! {
        #[test]
        fn the_rows_cost_is_the_exact_sum_of_quantity_times_price(
            quantities in proptest::collection::vec(0..u64::from(u32::MAX), 0..12)
        ) {
            let classes = [TokenClass::Input, TokenClass::Output, TokenClass::Image];
            let lines: Vec<_> =
                quantities.iter().enumerate().map(|(i, qty)| (classes[i % 3], *qty)).collect();
            let expected: i128 = lines
                .iter()
                .map(|(class, qty)| match class {
                    TokenClass::Input => i128::from(*qty) * 150_000,
                    TokenClass::Output => i128::from(*qty) * 600_000,
                    _ => 0,
                })
                .sum();
            let row = UsageRow::price(event(1, &lines), position(0), &book()).unwrap();
            prop_assert_eq!(row.cost, Pico(expected));
            prop_assert_eq!(row.lines.iter().map(|line| line.cost).sum::<Pico>(), row.cost);
            let counted: Vec<_> =
                row.lines.iter().map(|line| UsageLine { class: line.class, qty: line.qty }).collect();
            prop_assert_eq!(counted, row.event.lines);
        }
    }
}
