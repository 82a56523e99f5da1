//! The embedded engine behind HTTP: what the official client and other SQL tools may rely on.

use std::sync::Arc;
use std::time::Duration;

use clickhouse::{Client, Row};
use serde::{Deserialize, Serialize};
use tollgate_accounting::loopback::{self, Access};
use tollgate_accounting::store::clickhouse::{ServerEngine, ServerOptions};
use tollgate_accounting::store::embedded::EmbeddedEngine;
use tollgate_accounting::store::{Engine, StoreError};

use crate::support::{deliver, embedded, event, through_the_client, turn};

#[derive(Debug, Clone, PartialEq, Row, Serialize, Deserialize)]
struct Item {
    n: u64,
    name: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_client_inserts_and_reads_typed_rows() {
    let Some(ledger) = through_the_client().await else { return };
    let client = Client::default().with_url(ledger.loopback.as_ref().unwrap().url());
    client
        .query("CREATE TABLE items (n UInt64, name String) ENGINE = MergeTree ORDER BY n")
        .execute()
        .await
        .unwrap();
    let items: Vec<_> = (0..50_000).map(|n| Item { n, name: format!("item {n}") }).collect();
    let mut insert = client.insert::<Item>("items").await.unwrap();
    for item in &items {
        insert.write(item).await.unwrap();
    }
    insert.end().await.unwrap();
    let read = client.query("SELECT ?fields FROM items ORDER BY n").fetch_all::<Item>().await.unwrap();
    assert_eq!(read, items);
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_parameters_and_error_codes_work_as_on_a_server() {
    let Some(ledger) = through_the_client().await else { return };
    let client = Client::default().with_url(ledger.loopback.as_ref().unwrap().url());
    let threads = "SELECT toUInt64(value) FROM system.settings WHERE name = 'max_threads'";
    let one = client.query(threads).with_setting("max_threads", "1").fetch_one::<u64>().await.unwrap();
    assert_eq!(one, 1);
    let name = client.query("SELECT {name:String}").param("name", "it's \\ here").fetch_one::<String>().await;
    assert_eq!(name.unwrap(), "it's \\ here");
    let error = client.query("SELECT * FROM nowhere").execute().await.unwrap_err().to_string();
    assert!(error.contains("Code: 60"), "{error}");
    let slow = client.query("SELECT count() FROM numbers(1e12) WHERE sipHash64(number) = 1");
    let error = slow.with_setting("max_execution_time", "1").execute().await.unwrap_err().to_string();
    assert!(error.contains("Code: 159"), "{error}");
    // The connection that failed is as good as new.
    assert_eq!(client.query("SELECT toUInt64(7)").fetch_one::<u64>().await.unwrap(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_access_reads_and_nothing_else() {
    let Some(ledger) = embedded().await else { return };
    deliver(&ledger.store, &[event(1)], 0).await;
    let address = ([127, 0, 0, 1], 0).into();
    let loopback = loopback::serve(&ledger.embedded, address, Access::ReadOnly).unwrap();
    let client = Client::default().with_url(loopback.url());
    assert_eq!(client.query("SELECT count() FROM v_usage").fetch_one::<u64>().await.unwrap(), 1);
    for sql in [
        "INSERT INTO boots (gateway_id) VALUES ('x')",
        "DROP TABLE usage_events",
        "ALTER TABLE usage_events DELETE WHERE 1",
        "CREATE TABLE x (n UInt8) ENGINE = Memory",
        "SET readonly = 0",
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
    ] {
        let error = client.query(sql).execute().await.unwrap_err().to_string();
        let denied = ["Code: 164", "Code: 497"].iter().any(|code| error.contains(code));
        assert!(denied, "{sql} was not refused by the access rules: {error}");
    }
    assert_eq!(client.query("SELECT count() FROM v_usage").fetch_one::<u64>().await.unwrap(), 1);
    loopback.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_loopback_addresses_are_served() {
    let Some(ledger) = embedded().await else { return };
    let outside = loopback::serve(&ledger.embedded, ([0, 0, 0, 0], 0).into(), Access::ReadOnly);
    assert!(outside.unwrap_err().to_string().contains("loopback"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_away_and_comes_back_takes_the_same_block() {
    let Some(ledger) = embedded().await else { return };
    let address = ([127, 0, 0, 1], 0).into();
    let loopback = loopback::serve(&ledger.embedded, address, Access::ReadWrite).unwrap();
    let address = loopback.addr();
    let options = ServerOptions {
        url: loopback.url(),
        ca: None,
        database: "tollgate".to_owned(),
        user: None,
        timeout: Duration::from_secs(10),
    };
    let server = ServerEngine::open(&options, None).await.unwrap();
    let block = &crate::support::blocks(&[event(1)], 0, &crate::support::prices())[0];
    loopback.stop().await;
    let error = server.insert(block).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error}");
    let _again = loopback::serve(&ledger.embedded, address, Access::ReadWrite).unwrap();
    server.insert(block).await.unwrap();
    server.insert(block).await.unwrap();
    assert_eq!(crate::support::number(&ledger.store, "SELECT count() FROM usage_events").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_in_use_is_not_opened_twice_and_keeps_its_rows_when_closed() {
    let Some(turn) = turn() else { return };
    let options = turn.options();
    {
        let engine = EmbeddedEngine::open(&options).unwrap();
        let second = EmbeddedEngine::open(&options).unwrap_err();
        assert!(matches!(second, StoreError::Locked { .. }), "{second}");
        let store = tollgate_accounting::store::LedgerStore::new(Arc::new(engine));
        store.migrate().await.unwrap();
        deliver(&store, &[event(1)], 0).await;
    }
    let engine = EmbeddedEngine::open(&options).unwrap();
    let count = engine.select("SELECT count() FROM usage_events", "TSV").await.unwrap();
    assert_eq!(count, b"1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_insert_that_the_engine_refuses_leaves_the_connection_usable() {
    let Some(ledger) = embedded().await else { return };
    let mut broken = crate::support::blocks(&[event(1)], 0, &crate::support::prices()).remove(0);
    broken.data.truncate(broken.data.len() - 5);
    for _ in 0..6 {
        let error = ledger.store.insert(&broken).await.unwrap_err();
        assert!(matches!(error, StoreError::Refused { .. }), "{error}");
    }
    deliver(&ledger.store, &[event(1)], 0).await;
    assert_eq!(crate::support::number(&ledger.store, "SELECT count() FROM usage_events").await, 1);
}
