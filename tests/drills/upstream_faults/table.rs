//! The matrix of faults, forms and backends, as a table.

#![expect(clippy::print_stdout, reason = "the matrix is this program's answer")]

use super::Cell;
use super::seen::Exchange;
use super::verdict::{Row, complaint, list};

/// One line a request.
#[derive(Debug)]
pub(super) struct Table {
    lines: Vec<[String; 6]>,
    wrong: u64,
}

impl Table {
    /// The cells with what became of them, in the same order.
    pub(super) fn new(cells: &[Cell], exchanges: &[Exchange], rows: &[Vec<Row>]) -> Self {
        let mut table = Self { lines: Vec::new(), wrong: 0 };
        for ((cell, exchange), rows) in cells.iter().zip(exchanges).zip(rows) {
            let complaint = complaint(&cell.case, cell.stream, cell.second, exchange, rows);
            table.wrong += u64::from(complaint.is_some());
            table.lines.push([
                cell.case.name.clone(),
                if cell.stream { "stream" } else { "plain" }.to_owned(),
                if cell.second { "two" } else { "one" }.to_owned(),
                exchange.seen.to_string(),
                list(rows),
                complaint.map_or_else(|| "as it must".to_owned(), |complaint| format!("WRONG: {complaint}")),
            ]);
        }
        table
    }

    /// Requests that did not end as they must.
    pub(super) fn wrong(&self) -> u64 {
        self.wrong
    }

    /// Prints it.
    pub(super) fn print(&self) {
        let head = ["fault", "answer", "backends", "the client saw", "attempts in the ledger", "verdict"];
        let mut widths = head.map(str::len);
        for line in &self.lines {
            for (width, field) in widths.iter_mut().zip(line) {
                *width = (*width).max(field.len());
            }
        }
        print_line(head, widths);
        for line in &self.lines {
            print_line(line.each_ref().map(String::as_str), widths);
        }
    }
}

fn print_line(fields: [&str; 6], widths: [usize; 6]) {
    let padded = fields.iter().zip(widths).map(|(field, width)| format!("{field:<width$}"));
    println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
}
