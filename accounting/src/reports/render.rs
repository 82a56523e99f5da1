//! A report as a table for people, CSV for spreadsheets, or JSON for programs.
//!
//! CSV and JSON carry exact amounts; only the table rounds. A CSV cell that a spreadsheet would take for a
//! formula is written with a leading apostrophe.

use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::{Chargeback, ChargebackRow, ReportError};

/// Digits after the point in a table.
const TABLE_DIGITS: u32 = 6;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns with a total.
    Table,
    /// RFC 4180, with a header line and total lines.
    Csv,
    /// One object with `rows` and `totals`.
    Json,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

impl FromStr for Format {
    type Err = ReportError;

    fn from_str(name: &str) -> Result<Self, ReportError> {
        match name {
            "table" => Ok(Self::Table),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            other => Err(ReportError::Format(other.chars().take(32).collect())),
        }
    }
}

const MEASURES: [&str; 9] = [
    "requests",
    "attempts",
    "input_tokens",
    "output_tokens",
    "cost",
    "currency",
    "unpriced",
    "recovered",
    "cached",
];

impl Chargeback {
    /// Writes the report.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.table(),
            Format::Csv => self.csv(),
            Format::Json => self.json(),
        }
    }

    fn header(&self) -> Vec<String> {
        let dimensions = self.by.iter().map(|dimension| dimension.name());
        dimensions.chain(MEASURES).map(str::to_owned).collect()
    }

    /// The dimensions of a total: `total` in the first column.
    fn total_label(&self) -> Vec<String> {
        (0..self.by.len()).map(|n| if n == 0 { "total".to_owned() } else { String::new() }).collect()
    }

    fn table(&self) -> String {
        let cells = |values: Vec<String>, row: &ChargebackRow| {
            let shown = values.into_iter().map(|v| if v.is_empty() { "-".to_owned() } else { printable(&v) });
            shown.chain(measures(row, Some(TABLE_DIGITS))).collect::<Vec<_>>()
        };
        let mut lines = vec![self.header()];
        lines.extend(self.rows.iter().map(|row| cells(row.values.clone(), row)));
        let body = lines.len();
        lines.extend(self.totals.iter().map(|row| {
            let label = self.total_label().into_iter();
            label.chain(measures(row, Some(TABLE_DIGITS))).collect()
        }));
        let mut text = format!("{} to {} (UTC)\n\n", self.period.from, self.period.to);
        text.push_str(&align(&lines, self.by.len(), body));
        if self.totals.is_empty() {
            text.push_str("nothing was used in this period\n");
        }
        let unpriced: u64 = self.totals.iter().map(|total| total.unpriced).sum();
        if unpriced > 0 {
            text.push_str(&format!(
                "\n{unpriced} attempts have no price and cost 0 here: `tollgate-accounting reconcile` names what the price book lacks\n"
            ));
        }
        text
    }

    fn csv(&self) -> String {
        let mut text = String::new();
        let mut line = |values: Vec<String>, measures: Vec<String>| {
            let cells: Vec<_> = values.iter().map(|value| csv_text(value)).chain(measures).collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        };
        line(self.header(), Vec::new());
        for row in &self.rows {
            line(row.values.clone(), measures(row, None));
        }
        for total in self.totals.iter().filter(|_| !self.by.is_empty()) {
            line(self.total_label(), measures(total, None));
        }
        if self.by.is_empty() {
            self.totals.iter().for_each(|total| line(Vec::new(), measures(total, None)));
        }
        text
    }

    fn json(&self) -> String {
        let row = |row: &ChargebackRow| {
            let mut fields = Map::new();
            for (dimension, value) in self.by.iter().zip(&row.values) {
                fields.insert(dimension.name().to_owned(), Value::from(value.as_str()));
            }
            if let Ok(Value::Object(measures)) = serde_json::to_value(row) {
                fields.extend(measures);
            }
            Value::Object(fields)
        };
        let report = json!({
            "from": self.period.from.to_string(),
            "to": self.period.to.to_string(),
            "by": self.by.iter().map(|dimension| dimension.name()).collect::<Vec<_>>(),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
            "totals": self.totals.iter().map(row).collect::<Vec<_>>(),
        });
        format!("{report:#}\n")
    }
}

/// In the order of [`MEASURES`]; amounts exact, or rounded to `digits`.
fn measures(row: &ChargebackRow, digits: Option<u32>) -> Vec<String> {
    let cost = digits.map_or_else(|| row.cost.to_string(), |digits| row.cost.to_fixed(digits));
    vec![
        row.requests.to_string(),
        row.attempts.to_string(),
        row.input_tokens.to_string(),
        row.output_tokens.to_string(),
        cost,
        row.currency.clone(),
        row.unpriced.to_string(),
        row.recovered.to_string(),
        row.cached.to_string(),
    ]
}

/// Text left, numbers right, rules below the header and above the totals (from line `body` on).
fn align(lines: &[Vec<String>], text_columns: usize, body: usize) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |n: usize| lines.iter().map(|line| line[n].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let rule = widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>().join("  ") + "\n";
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate() {
        if n == 1 || (n == body && body > 1) {
            text.push_str(&rule);
        }
        let cells = line.iter().zip(&widths).enumerate().map(|(n, (cell, width))| {
            if n < text_columns { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Control characters would let a value move the terminal's cursor.
pub(crate) fn printable(value: &str) -> String {
    value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A text cell: quoted where needed, and never a formula.
pub(crate) fn csv_text(value: &str) -> String {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let safe = if formula { format!("'{value}") } else { value.to_owned() };
    if safe.contains([',', '"', '\n', '\r', '\t', ';']) || safe.starts_with(' ') || safe.ends_with(' ') {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dimension, Period};
    use super::*;
    use tollgate_schemas::money::Pico;

    fn row(values: &[&str], cost: i128, unpriced: u64) -> ChargebackRow {
        ChargebackRow {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            requests: 2,
            attempts: 3,
            input_tokens: 1200,
            output_tokens: 34,
            cost: Pico(cost),
            currency: "USD".to_owned(),
            unpriced,
            recovered: 1,
            cached: 0,
        }
    }

    fn report(values: &[&str], unpriced: u64) -> Chargeback {
        Chargeback {
            period: Period::month("2026-11").unwrap(),
            by: vec![Dimension::CostCenter, Dimension::Model],
            rows: vec![row(values, 1_234_567_500_000, unpriced)],
            totals: vec![row(&[], 1_234_567_500_000, unpriced)],
        }
    }

    #[test]
    fn a_table_is_aligned_rounds_half_to_even_and_ends_with_the_total() {
        let expected = "\
2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z (UTC)

cost_center  model      requests  attempts  input_tokens  output_tokens      cost  currency  unpriced  recovered  cached
-----------  ---------  --------  --------  ------------  -------------  --------  --------  --------  ---------  ------
4711         sim-small         2         3          1200             34  1.234568       USD         0          1       0
-----------  ---------  --------  --------  ------------  -------------  --------  --------  --------  ---------  ------
total                          2         3          1200             34  1.234568       USD         0          1       0
";
        assert_eq!(report(&["4711", "sim-small"], 0).render(Format::Table), expected);
    }

    #[test]
    fn a_table_says_what_has_no_price_and_what_is_empty() {
        let text = report(&["", "m"], 3).render(Format::Table);
        assert!(text.contains("\n-            m"), "{text}");
        assert!(text.contains("3 attempts have no price"), "{text}");
        let empty = Chargeback { rows: vec![], totals: vec![], ..report(&[], 0) };
        assert!(empty.render(Format::Table).ends_with("nothing was used in this period\n"));
    }

    #[test]
    fn csv_carries_exact_amounts_and_a_total() {
        let text = report(&["47,11", "m"], 0).render(Format::Csv);
        let lines: Vec<_> = text.split("\r\n").collect();
        assert_eq!(
            lines[0],
            "cost_center,model,requests,attempts,input_tokens,output_tokens,cost,currency,unpriced,recovered,cached"
        );
        assert_eq!(lines[1], "\"47,11\",m,2,3,1200,34,1.234567500000,USD,0,1,0");
        assert_eq!(lines[2], "total,,2,3,1200,34,1.234567500000,USD,0,1,0");
    }

    #[test]
    fn a_cell_is_never_a_formula() {
        for (value, expected) in [
            ("=1+1", "'=1+1"),
            ("+x", "'+x"),
            ("-x", "'-x"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\"'\t=1\""),
            ("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\""),
            ("plain", "plain"),
            ("a\nb", "\"a\nb\""),
        ] {
            assert_eq!(csv_text(value), expected);
        }
    }

    #[test]
    fn json_writes_amounts_as_text() {
        let value: Value = serde_json::from_str(&report(&["4711", "m"], 0).render(Format::Json)).unwrap();
        assert_eq!(value["rows"][0]["cost"], "1.234567500000");
        assert_eq!(value["rows"][0]["cost_center"], "4711");
        assert_eq!(value["rows"][0]["requests"], 2);
        assert_eq!(value["totals"][0]["input_tokens"], 1200);
        assert_eq!(value["by"], json!(["cost_center", "model"]));
    }

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }
}
