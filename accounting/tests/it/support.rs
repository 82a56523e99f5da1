//! A ledger of its own for each test, and events to put into it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tollgate_accounting::batch::{Batcher, Item, Limits};
use tollgate_accounting::config::default_library;
use tollgate_accounting::loopback::{self, Access, Loopback};
use tollgate_accounting::price_book::PriceBook;
use tollgate_accounting::reports::Period;
use tollgate_accounting::row::UsageRow;
use tollgate_accounting::store::clickhouse::{ServerEngine, ServerOptions};
use tollgate_accounting::store::embedded::{EmbeddedEngine, EmbeddedOptions};
use tollgate_accounting::store::{Block, LedgerStore};
use tollgate_eventlog::{Position, Topic};
use tollgate_schemas::ids::{BootId, EventId, RequestId};
use tollgate_schemas::tokens::{TokenClass, UsageLine};
use tollgate_schemas::usage::{LedgerPosition, UsageEvent};

use crate::testing;

pub(crate) use testing::NOW_MS;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The turn of one test with the engine; fields are dropped in this order.
pub(crate) struct Turn {
    pub(crate) folder: TempDir,
    pub(crate) library: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// `None`, with the reason printed, if the engine is not installed and is not required.
pub(crate) fn turn() -> Option<Turn> {
    let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let library = default_library();
    if !library.is_file() {
        let required = std::env::var_os("TOLLGATE_REQUIRE_ENGINES").is_some();
        assert!(!required, "{} is not installed: run deploy/setup/chdb", library.display());
        eprintln!("skipped: {} is not installed (deploy/setup/chdb)", library.display());
        return None;
    }
    Some(Turn { folder: tempfile::tempdir().unwrap(), library, _turn: turn })
}

impl Turn {
    pub(crate) fn options(&self) -> EmbeddedOptions {
        EmbeddedOptions {
            path: self.folder.path().join("ledger"),
            library: self.library.clone(),
            database: "tollgate".to_owned(),
            max_memory_mib: 1024,
            connections: 3,
        }
    }
}

/// An open ledger with its schema; fields are dropped in this order.
pub(crate) struct Ledger {
    pub(crate) store: LedgerStore,
    pub(crate) embedded: EmbeddedEngine,
    pub(crate) loopback: Option<Loopback>,
    _turn: Turn,
}

/// Straight on the engine.
pub(crate) async fn embedded() -> Option<Ledger> {
    let turn = turn()?;
    let embedded = EmbeddedEngine::open(&turn.options()).unwrap();
    let store = LedgerStore::new(Arc::new(embedded.clone()));
    store.migrate().await.unwrap();
    Some(Ledger { store, embedded, loopback: None, _turn: turn })
}

/// Through the `clickhouse` crate and the loopback server.
pub(crate) async fn through_the_client() -> Option<Ledger> {
    let turn = turn()?;
    let embedded = EmbeddedEngine::open(&turn.options()).unwrap();
    let address = ([127, 0, 0, 1], 0).into();
    let loopback = loopback::serve(&embedded, address, Access::ReadWrite).unwrap();
    let options = ServerOptions {
        url: loopback.url(),
        ca: None,
        database: "over_http".to_owned(),
        user: Some("default".to_owned()),
        timeout: Duration::from_secs(60),
    };
    let store = LedgerStore::new(Arc::new(ServerEngine::open(&options, None).await.unwrap()));
    store.migrate().await.unwrap();
    Some(Ledger { store, embedded, loopback: Some(loopback), _turn: turn })
}

pub(crate) fn prices() -> PriceBook {
    PriceBook::parse(include_str!("../../../deploy/config/prices.yaml")).unwrap()
}

/// A settled chat call of tenant `acme` to `sim-small`, event `n` of boot 1 of gateway `gw-1`. Its ids depend on `n`
/// alone, so that a second delivery is the same event.
pub(crate) fn event(n: u64) -> UsageEvent {
    let at_ms = NOW_MS + n as i64;
    let id = ((at_ms as u128) << 80) | (7 << 76) | (2 << 62) | u128::from(n);
    let event = testing::event(n, &[(TokenClass::Input, 1000), (TokenClass::Output, 100)]);
    UsageEvent {
        event_id: EventId(uuid::Uuid::from_u128(id)),
        request_id: RequestId(uuid::Uuid::from_u128(u128::from(n) + (1 << 100))),
        ledger: LedgerPosition { boot_id: BootId(uuid::Uuid::from_u128(1)), ..event.ledger },
        event_time_ms: at_ms,
        ended_at_ms: at_ms + 900,
        ..event
    }
}

/// The month in which the test runs, as `2026-11`. What a whole service does is tested in it: reconciliations and
/// retention go by the real clock.
pub(crate) fn this_month() -> &'static str {
    static MONTH: OnceLock<String> = OnceLock::new();
    MONTH.get_or_init(|| jiff::Timestamp::now().strftime("%Y-%m").to_string())
}

/// [`event`] `n` at the beginning of this month.
pub(crate) fn event_of_this_month(n: u64) -> UsageEvent {
    let began_ms = Period::month(this_month()).unwrap().from.as_millisecond() + n as i64;
    UsageEvent { event_time_ms: began_ms, ended_at_ms: began_ms + 900, ..event(n) }
}

pub(crate) fn lines(lines: &[(TokenClass, u64)]) -> Vec<UsageLine> {
    lines.iter().map(|&(class, qty)| UsageLine { class, qty }).collect()
}

/// The blocks of one delivery of these events, from offset `first` of partition 0.
pub(crate) fn blocks(events: &[UsageEvent], first: u64, book: &PriceBook) -> Vec<Block> {
    let mut batcher = Batcher::new(Limits { records: usize::MAX, age: Duration::ZERO });
    let now = std::time::Instant::now();
    for (n, event) in events.iter().enumerate() {
        let at = Position { topic: Topic::Usage, partition: 0, offset: first + n as u64 };
        let row = UsageRow::price(event.clone(), at, book).unwrap();
        batcher.push(at, Item::Usage(Box::new(row)), now);
    }
    batcher.take().into_iter().flat_map(tollgate_accounting::batch::PartitionBatch::into_blocks).collect()
}

pub(crate) async fn deliver(store: &LedgerStore, events: &[UsageEvent], first: u64) {
    for block in blocks(events, first, &prices()) {
        store.insert(&block).await.unwrap();
    }
}

/// A number out of the ledger.
pub(crate) async fn number(store: &LedgerStore, sql: &str) -> u64 {
    let rows: Vec<serde_json::Value> = store.rows(sql).await.unwrap();
    let row = rows.first().unwrap_or_else(|| panic!("{sql} gave no row"));
    row.as_object().unwrap().values().next().unwrap().as_u64().unwrap()
}
