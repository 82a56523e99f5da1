//! The columns of the ledger's tables: name, type and value of each in one place.

use super::{BootRow, UsageRow};
use crate::store::rowbinary::{Column, LedgerRow};

const WORD: &str = "LowCardinality(String)";
const WORDS: &str = "Array(LowCardinality(String))";
const TIME: &str = "DateTime64(3, 'UTC')";
const AMOUNT: &str = "Decimal(38, 12)";
const AMOUNTS: &str = "Array(Decimal(38, 12))";

impl LedgerRow for UsageRow {
    const TABLE: &'static str = "usage_events";

    const COLUMNS: &'static [Column<Self>] = &[
        ("event_id", "UUID", |row, out| out.uuid(row.event.event_id.0)),
        ("request_id", "UUID", |row, out| out.uuid(row.event.request_id.0)),
        ("attempt", "UInt8", |row, out| out.u8(row.event.attempt)),
        ("version", "UInt32", |row, out| out.u32(row.event.version)),
        ("event_time", TIME, |row, out| out.time_ms(row.event.event_time_ms)),
        ("ended_at", TIME, |row, out| out.time_ms(row.event.ended_at_ms)),
        ("tenant", WORD, |row, out| out.text(&row.event.payer.tenant)),
        ("cost_center", WORD, |row, out| out.text(&row.event.payer.cost_center)),
        ("team", WORD, |row, out| out.text(&row.event.payer.team)),
        ("app", WORD, |row, out| out.text(&row.event.payer.app)),
        ("product", WORD, |row, out| out.text(&row.event.payer.product)),
        ("subscription", WORD, |row, out| out.text(&row.event.payer.subscription)),
        ("key_id", WORD, |row, out| out.text(&row.event.payer.key_id)),
        ("subject", "String", |row, out| out.optional_text(row.event.payer.subject.as_deref())),
        ("tags", "Map(LowCardinality(String), String)", |row, out| {
            out.map(row.event.payer.tags.iter().map(|(key, value)| (key.as_ref(), value.as_bytes())))
        }),
        ("operation", WORD, |row, out| out.text(&wire_name(&row.event.call.operation))),
        ("provider", WORD, |row, out| out.text(&row.event.call.provider)),
        ("backend", WORD, |row, out| out.text(&row.event.call.backend)),
        ("region", WORD, |row, out| out.text(&row.event.call.region)),
        ("model_requested", WORD, |row, out| out.text(&row.event.call.model_requested)),
        ("model", WORD, |row, out| out.text(&row.event.call.model)),
        ("api_format", WORD, |row, out| out.text(&row.event.call.api_format)),
        ("stream", "UInt8", |row, out| out.u8(u8::from(row.event.call.stream))),
        ("variant", WORD, |row, out| out.optional_text(row.event.call.variant.as_deref())),
        ("outcome", WORD, |row, out| out.text(&wire_name(&row.event.outcome))),
        ("usage_source", WORD, |row, out| out.text(&wire_name(&row.event.usage_source))),
        ("http_status", "UInt16", |row, out| out.u16(row.event.http_status)),
        ("error_code", WORD, |row, out| out.optional_text(row.event.error_code.as_deref())),
        ("cached_from", "Nullable(UUID)", |row, out| out.optional_uuid(row.event.cached_from.map(|id| id.0))),
        ("latency_ms", "UInt32", |row, out| out.u32(row.event.timing.latency_ms)),
        ("ttft_ms", "UInt32", |row, out| out.u32(row.event.timing.ttft_ms)),
        ("gateway_us", "UInt32", |row, out| out.u32(row.event.timing.gateway_us)),
        ("line.class", WORDS, |row, out| out.array(&row.lines, |out, line| out.text(line.class.as_str()))),
        ("line.qty", "Array(UInt64)", |row, out| out.array(&row.lines, |out, line| out.u64(line.qty))),
        ("line.sku", WORDS, |row, out| out.array(&row.lines, |out, line| out.text(&line.sku))),
        ("line.price_id", WORDS, |row, out| out.array(&row.lines, |out, line| out.text(&line.price_id))),
        ("line.unit_price", AMOUNTS, |row, out| {
            out.array(&row.lines, |out, line| out.money(line.unit_price))
        }),
        ("line.cost", AMOUNTS, |row, out| out.array(&row.lines, |out, line| out.money(line.cost))),
        ("input_tokens", "UInt64", |row, out| out.u64(row.event.input_tokens())),
        ("output_tokens", "UInt64", |row, out| out.u64(row.event.output_tokens())),
        ("cost", AMOUNT, |row, out| out.money(row.cost)),
        ("currency", WORD, |row, out| out.text(&row.currency)),
        ("unpriced", "UInt8", |row, out| out.u8(u8::from(row.unpriced))),
        ("gateway_id", WORD, |row, out| out.text(&row.event.ledger.gateway_id)),
        ("boot_id", "UUID", |row, out| out.uuid(row.event.ledger.boot_id.0)),
        ("seq", "UInt64", |row, out| out.u64(row.event.ledger.seq)),
        ("log_partition", "UInt16", |row, out| out.u16(row.at.partition)),
        ("log_offset", "UInt64", |row, out| out.u64(row.at.offset)),
    ];
}

impl LedgerRow for BootRow {
    const TABLE: &'static str = "boots";

    const COLUMNS: &'static [Column<Self>] = &[
        ("gateway_id", WORD, |row, out| out.text(&row.0.gateway_id)),
        ("boot_id", "UUID", |row, out| out.uuid(row.0.boot_id.0)),
        ("last_seq", "UInt64", |row, out| out.u64(row.0.last_seq)),
    ];
}

/// The name that an enum value has in events, so that ledger and events never disagree.
fn wire_name(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use tollgate_schemas::usage::{Operation, Outcome, UsageSource};

    #[test]
    fn enum_values_keep_their_names_from_the_events() {
        assert_eq!(wire_name(&Outcome::CacheHit), "cache_hit");
        assert_eq!(wire_name(&Operation::ExecuteTool), "execute_tool");
        assert_eq!(wire_name(&UsageSource::None), "none");
    }

    #[test]
    fn each_column_is_written_once() {
        let names: BTreeSet<_> = UsageRow::COLUMNS.iter().map(|(name, ..)| name).collect();
        assert_eq!(names.len(), UsageRow::COLUMNS.len());
    }
}
