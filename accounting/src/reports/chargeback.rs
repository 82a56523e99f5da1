//! The chargeback report: what was used and what it cost, by the dimensions that were asked for.
//!
//! Lines and totals come out of one query, so they are of one state of the ledger and always add up.

use serde::{Deserialize, Serialize};
use serde_json::Map;
use tollgate_schemas::money::Pico;

use super::{Dimension, Period};
use crate::store::{LedgerStore, StoreError};

/// A finished report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chargeback {
    /// The time that it covers.
    pub period: Period,
    /// The dimensions that its lines are grouped by.
    pub by: Vec<Dimension>,
    /// Its lines, highest cost first.
    pub rows: Vec<ChargebackRow>,
    /// The sum of the lines, one per currency; empty when nothing was used.
    pub totals: Vec<ChargebackRow>,
}

/// A line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ChargebackRow {
    /// Values of the dimensions, in the order of [`Chargeback::by`]; empty in a total.
    #[serde(skip)]
    pub values: Vec<String>,
    /// Client requests: counted at their first attempt, so that they add up over any dimension.
    pub requests: u64,
    /// Attempts: upstream calls, cache answers and refusals.
    pub attempts: u64,
    /// Tokens towards the models.
    pub input_tokens: u64,
    /// Tokens from the models.
    pub output_tokens: u64,
    /// What it cost, exactly.
    pub cost: Pico,
    /// Currency of `cost`.
    pub currency: String,
    /// Attempts with a quantity that has no price: `cost` is too low by them.
    pub unpriced: u64,
    /// Attempts written by recovery after a crash, with estimated quantities.
    pub recovered: u64,
    /// Attempts answered by the cache.
    pub cached: u64,
}

impl Chargeback {
    /// Makes the report.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn make(store: &LedgerStore, period: Period, by: Vec<Dimension>) -> Result<Self, StoreError> {
        let found: Vec<QueryRow> = store.rows(&query(period, &by)).await?;
        let (mut rows, mut totals) = (Vec::new(), Vec::new());
        for row in found {
            let is_total = row.is_total != 0;
            let row = row.into_row(if is_total { 0 } else { by.len() })?;
            if is_total {
                totals.push(row);
            } else {
                rows.push(row);
            }
        }
        Ok(Self { period, by, rows, totals })
    }
}

/// A row of the query; the dimensions are `d0`, `d1` ….
#[derive(Debug, Deserialize)]
struct QueryRow {
    is_total: u8,
    requests: u64,
    attempts: u64,
    input_tokens: u64,
    output_tokens: u64,
    cost: Pico,
    currency: String,
    unpriced: u64,
    recovered: u64,
    cached: u64,
    #[serde(flatten)]
    dimensions: Map<String, serde_json::Value>,
}

impl QueryRow {
    fn into_row(self, dimensions: usize) -> Result<ChargebackRow, StoreError> {
        let value = |n: usize| match self.dimensions.get(&format!("d{n}")) {
            Some(serde_json::Value::String(text)) => Ok(text.clone()),
            _ => Err(StoreError::Answer(format!("column d{n} is missing"))),
        };
        Ok(ChargebackRow {
            values: (0..dimensions).map(value).collect::<Result<_, _>>()?,
            requests: self.requests,
            attempts: self.attempts,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            cost: self.cost,
            currency: self.currency,
            unpriced: self.unpriced,
            recovered: self.recovered,
            cached: self.cached,
        })
    }
}

fn query(period: Period, by: &[Dimension]) -> String {
    let columns: String = by.iter().enumerate().map(|(n, d)| format!("{} AS d{n}, ", d.sql())).collect();
    let keys: String = (0..by.len()).map(|n| format!("d{n}, ")).collect();
    let (measures, join) = if by.contains(&Dimension::Class) { (OF_LINES, LINES) } else { (OF_EVENTS, "") };
    // Without dimensions the two sets are the same: only the totals are wanted then.
    let (sets, is_total) = if by.is_empty() {
        ("(currency)".to_owned(), "1".to_owned())
    } else {
        (format!("({keys}currency), (currency)"), format!("grouping({})", "d0"))
    };
    let order: String = (0..by.len()).map(|n| format!(", d{n}")).collect();
    format!(
        "SELECT {columns}{is_total} AS is_total, toString(currency) AS currency, {measures}
         FROM usage_events FINAL {join}
         WHERE {}
         GROUP BY GROUPING SETS ({sets})
         ORDER BY is_total, cost DESC{order}, currency",
        period.sql()
    )
}

const OF_EVENTS: &str = "countIf(attempt <= 1) AS requests, count() AS attempts,
    sum(usage_events.input_tokens) AS input_tokens, sum(usage_events.output_tokens) AS output_tokens,
    sum(usage_events.cost) AS cost, countIf(usage_events.unpriced = 1) AS unpriced,
    countIf(outcome = 'recovered') AS recovered, countIf(outcome = 'cache_hit') AS cached";

/// By token class an event has several lines: events are counted by their ids, so that the total counts
/// each once. An event without lines is a line of class ''.
const OF_LINES: &str = "uniqExactIf(event_id, attempt <= 1) AS requests, uniqExact(event_id) AS attempts,
    sumIf(line_qty, line_class = 'embedding' OR line_class = 'input' OR startsWith(line_class, 'input.')) AS input_tokens,
    sumIf(line_qty, line_class = 'output' OR startsWith(line_class, 'output.')) AS output_tokens,
    sum(line_cost) AS cost, uniqExactIf(event_id, line_qty > 0 AND line_price_id = '') AS unpriced,
    uniqExactIf(event_id, outcome = 'recovered') AS recovered,
    uniqExactIf(event_id, outcome = 'cache_hit') AS cached";
const LINES: &str = "LEFT ARRAY JOIN line.class AS line_class, line.qty AS line_qty, line.cost AS line_cost,
    line.price_id AS line_price_id";

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(by: &[Dimension]) -> String {
        query(Period::month("2026-11").unwrap(), by)
    }

    #[test]
    fn lines_and_totals_are_asked_for_in_one_query() {
        let sql = sql(&[Dimension::CostCenter, Dimension::Model]);
        assert!(sql.contains("toString(cost_center) AS d0, toString(model) AS d1"), "{sql}");
        assert!(sql.contains("GROUPING SETS ((d0, d1, currency), (currency))"), "{sql}");
        assert!(sql.contains("FROM usage_events FINAL"), "{sql}");
        assert!(sql.contains("event_time >= fromUnixTimestamp64Milli(1793491200000, 'UTC')"), "{sql}");
    }

    #[test]
    fn only_a_report_by_class_opens_the_lines() {
        assert!(!sql(&[Dimension::Team]).contains("ARRAY JOIN"));
        assert!(sql(&[Dimension::Class]).contains("LEFT ARRAY JOIN"));
    }

    #[test]
    fn the_classes_counted_as_tokens_are_those_of_the_events() {
        use tollgate_schemas::tokens::TokenClass;
        for class in TokenClass::ALL {
            let name = class.as_str();
            let input = name == "embedding" || name == "input" || name.starts_with("input.");
            let output = name == "output" || name.starts_with("output.");
            assert_eq!((input, output), (class.is_input(), class.is_output()), "{name}");
        }
    }
}
