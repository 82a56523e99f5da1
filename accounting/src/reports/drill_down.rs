//! The rows behind a request: every attempt that was made for it, with its lines and prices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_schemas::money::Pico;
use uuid::Uuid;

use crate::store::{LedgerStore, StoreError};

/// One attempt as the ledger holds it, in its newest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are those of the event and its row, documented there")]
pub struct EventView {
    pub event_id: Uuid,
    pub request_id: Uuid,
    pub attempt: u8,
    pub version: u32,
    pub event_time: String,
    pub ended_at: String,
    pub tenant: String,
    pub cost_center: String,
    pub team: String,
    pub app: String,
    pub product: String,
    pub subscription: String,
    pub key_id: String,
    pub subject: String,
    pub tags: BTreeMap<String, String>,
    pub operation: String,
    pub provider: String,
    pub backend: String,
    pub region: String,
    pub model_requested: String,
    pub model: String,
    pub api_format: String,
    pub stream: bool,
    pub variant: String,
    pub outcome: String,
    pub usage_source: String,
    pub http_status: u16,
    pub error_code: String,
    pub cached_from: Option<Uuid>,
    pub latency_ms: u32,
    pub ttft_ms: u32,
    pub gateway_us: u32,
    pub lines: Vec<LineView>,
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost: Pico,
    pub currency: String,
    pub unpriced: bool,
    pub gateway_id: String,
    pub boot_id: Uuid,
    pub seq: u64,
}

/// One priced line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    /// Token class.
    pub class: String,
    /// Number of units.
    pub qty: u64,
    /// What was sold; empty without a price.
    pub sku: String,
    /// Which price applied; empty without one.
    pub price_id: String,
    /// Price of one unit.
    pub unit_price: Pico,
    /// `qty` × `unit_price`.
    pub cost: Pico,
}

/// All attempts of a request in the order of their beginnings; empty if the ledger has none.
///
/// # Errors
/// When the store fails.
pub async fn events_of(store: &LedgerStore, request: Uuid) -> Result<Vec<EventView>, StoreError> {
    store.rows(&query(request)).await
}

fn query(request: Uuid) -> String {
    format!(
        "SELECT event_id, request_id, attempt, version,
             concat(replaceOne(toString(u.event_time), ' ', 'T'), 'Z') AS event_time,
             concat(replaceOne(toString(u.ended_at), ' ', 'T'), 'Z') AS ended_at,
             tenant, cost_center, team, app, product, subscription, key_id, subject, tags,
             operation, provider, backend, region, model_requested, model, api_format,
             CAST(u.stream, 'Bool') AS stream, variant, outcome, usage_source, http_status, error_code, cached_from,
             latency_ms, ttft_ms, gateway_us,
             arrayMap((class, qty, sku, price_id, unit_price, cost) ->
                 CAST((class, qty, sku, price_id, unit_price, cost),
                 'Tuple(class String, qty UInt64, sku String, price_id String, unit_price Decimal(38, 12), cost Decimal(38, 12))'),
                 line.class, line.qty, line.sku, line.price_id, line.unit_price, line.cost) AS lines,
             input_tokens, output_tokens, u.cost AS cost, currency, CAST(u.unpriced, 'Bool') AS unpriced,
             gateway_id, boot_id, seq
         FROM usage_events AS u FINAL
         WHERE request_id = toUUID('{request}')
         ORDER BY u.event_time, attempt, event_id"
    )
}
