//! A reconciliation as lines for people, CSV for spreadsheets, or JSON for programs.

use super::{BootGap, Reconciliation, SeqRange};
use crate::reports::Format;
use crate::reports::render::{csv_text, printable};

impl Reconciliation {
    /// Writes what was found.
    #[must_use]
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.text(),
            Format::Csv => self.csv(),
            Format::Json => self.json(),
        }
    }

    fn text(&self) -> String {
        let counts: Vec<_> =
            self.counts().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let until = self.until.map_or_else(String::new, |until| format!(" until {until}"));
        let mut text = format!("since {}{until}\n{}\n", self.since, counts.join(" "));
        for day in &self.rollup_wrong_days {
            text.push_str(&format!("the rollup of {day} is not what the events say\n"));
        }
        self.boots.iter().for_each(|boot| text.push_str(&describe(boot)));
        if self.boots_left_out > 0 {
            text.push_str(&format!("{} more gateway runs have holes\n", self.boots_left_out));
        }
        for class in &self.unpriced_classes {
            let (provider, model) = (printable(&class.provider), printable(&class.model));
            let (class, events) = (printable(&class.class), class.events);
            text.push_str(&format!(
                "no price: provider={provider} model={model} class={class} events={events}\n"
            ));
        }
        let verdict =
            if self.is_clean() { "the ledger reconciles\n" } else { "the ledger does NOT reconcile\n" };
        text + verdict
    }

    fn counts(&self) -> [(&'static str, String); 10] {
        [
            ("events", self.events.to_string()),
            ("missing", self.missing.to_string()),
            ("pending", self.pending.to_string()),
            ("split", self.split.to_string()),
            ("duplicates", self.duplicates.to_string()),
            ("recovered", self.recovered.to_string()),
            ("unpriced", self.unpriced.to_string()),
            ("dead_letters", self.dead_letters.to_string()),
            ("rollup_difference", self.rollup_difference.to_string()),
            ("rollup_stale_days", self.rollup_stale_days.to_string()),
        ]
    }

    /// One line for each count and for everything that is named; `item` says which.
    fn csv(&self) -> String {
        let mut text = String::new();
        let mut line = |cells: [&str; COLUMNS.len()]| {
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        };
        line(COLUMNS);
        for (name, value) in &self.counts() {
            line([name, value, "", "", "", "", "", "", "", ""]);
        }
        for day in &self.rollup_wrong_days {
            line(["rollup_wrong_day", "", "", "", "", "", &day.to_string(), "", "", ""]);
        }
        self.boots.iter().for_each(|boot| csv_lines(boot, &mut line));
        if self.boots_left_out > 0 {
            line(["boots_left_out", &self.boots_left_out.to_string(), "", "", "", "", "", "", "", ""]);
        }
        for class in &self.unpriced_classes {
            let (provider, model) = (csv_text(&class.provider), csv_text(&class.model));
            let (class, events) = (csv_text(&class.class), class.events.to_string());
            line(["no_price", &events, "", "", "", "", "", &provider, &model, &class]);
        }
        text
    }

    fn json(&self) -> String {
        format!("{:#}\n", serde_json::to_value(self).unwrap_or_default())
    }
}

const COLUMNS: [&str; 10] =
    ["item", "value", "gateway_id", "boot_id", "first_seq", "last_seq", "day", "provider", "model", "class"];

fn csv_lines(boot: &BootGap, line: &mut impl FnMut([&str; COLUMNS.len()])) {
    let (gateway, run) = (csv_text(&boot.gateway_id), csv_text(&boot.boot_id));
    for (name, ranges) in [("missing_seqs", &boot.missing_seqs), ("pending_seqs", &boot.pending_seqs)] {
        for range in ranges {
            let (first, last) = (range.first.to_string(), range.last.to_string());
            line([name, &range.count().to_string(), &gateway, &run, &first, &last, "", "", "", ""]);
        }
    }
    if boot.unnamed > 0 {
        line(["unnamed_seqs", &boot.unnamed.to_string(), &gateway, &run, "", "", "", "", "", ""]);
    }
}

fn describe(boot: &BootGap) -> String {
    let (gateway, run) = (printable(&boot.gateway_id), printable(&boot.boot_id));
    let mut text =
        format!("gateway {gateway} boot {run}: missing={} pending={}\n", boot.missing, boot.pending);
    for (name, ranges) in [("missing", &boot.missing_seqs), ("pending", &boot.pending_seqs)] {
        if !ranges.is_empty() {
            let ranges: Vec<_> = ranges.iter().map(SeqRange::to_string).collect();
            text.push_str(&format!("  {name} sequence numbers: {}\n", ranges.join(", ")));
        }
    }
    if boot.unnamed > 0 {
        text.push_str(&format!("  and {} more\n", boot.unnamed));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::UnpricedClass;
    use super::*;
    use jiff::Timestamp;
    use tollgate_schemas::money::Pico;

    fn found() -> Reconciliation {
        let range = |first, last| SeqRange { first, last };
        let boot = BootGap {
            gateway_id: "=gw\u{1b}".to_owned(),
            boot_id: "b".to_owned(),
            missing: 62,
            pending: 1,
            missing_seqs: vec![range(6, 6), range(8, 10)],
            pending_seqs: vec![range(12, 12)],
            unnamed: 58,
        };
        let lacking = UnpricedClass {
            provider: "sim".to_owned(),
            model: "m,1".to_owned(),
            class: "image".to_owned(),
            events: 3,
        };
        Reconciliation {
            missing: 62,
            pending: 1,
            duplicates: 0,
            split: 0,
            events: 40,
            recovered: 0,
            unpriced: 3,
            unpriced_classes: vec![lacking],
            dead_letters: 0,
            rollup_difference: Pico(-1),
            rollup_stale_days: 0,
            rollup_wrong_days: vec!["2026-11-18".parse().unwrap()],
            boots: vec![boot],
            boots_left_out: 2,
            since: Timestamp::UNIX_EPOCH,
            until: None,
        }
    }

    #[test]
    fn the_text_names_every_hole_by_its_sequence_numbers() {
        let expected = "\
since 1970-01-01T00:00:00Z
events=40 missing=62 pending=1 split=0 duplicates=0 recovered=0 unpriced=3 dead_letters=0 rollup_difference=-0.000000000001 rollup_stale_days=0
the rollup of 2026-11-18 is not what the events say
gateway =gw\u{fffd} boot b: missing=62 pending=1
  missing sequence numbers: 6, 8-10
  pending sequence numbers: 12
  and 58 more
2 more gateway runs have holes
no price: provider=sim model=m,1 class=image events=3
the ledger does NOT reconcile
";
        assert_eq!(found().render(Format::Table), expected);
    }

    #[test]
    fn a_period_that_is_over_is_named_with_its_end() {
        let until = Some("2026-02-01T00:00:00Z".parse().unwrap());
        let text = Reconciliation { until, ..found() }.render(Format::Table);
        assert!(text.starts_with("since 1970-01-01T00:00:00Z until 2026-02-01T00:00:00Z\n"), "{text}");
    }

    #[test]
    fn csv_has_a_line_for_each_range() {
        let text = found().render(Format::Csv);
        let lines: Vec<_> = text.split("\r\n").collect();
        assert_eq!(lines[0], COLUMNS.join(","));
        for line in [
            "missing,62,,,,,,,,",
            "rollup_difference,-0.000000000001,,,,,,,,",
            "rollup_wrong_day,,,,,,2026-11-18,,,",
            "missing_seqs,1,'=gw\u{1b},b,6,6,,,,",
            "missing_seqs,3,'=gw\u{1b},b,8,10,,,,",
            "pending_seqs,1,'=gw\u{1b},b,12,12,,,,",
            "unnamed_seqs,58,'=gw\u{1b},b,,,,,,",
            "boots_left_out,2,,,,,,,,",
            "no_price,3,,,,,,sim,\"m,1\",image",
        ] {
            assert!(lines.contains(&line), "{line} is not in {text}");
        }
    }

    #[test]
    fn json_reads_back_as_what_was_found() {
        let text = found().render(Format::Json);
        assert_eq!(serde_json::from_str::<Reconciliation>(&text).unwrap(), found());
        assert!(text.contains("\"missing_seqs\""), "{text}");
    }
}
