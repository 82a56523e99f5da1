use crate::support::ledger;
#[tokio::test(flavor = "multi_thread")]
async fn probe_one() {
    let Some(ledger) = ledger().await else { return };
    ledger.store.migrate().await.unwrap();
    ledger.store.migrate().await.unwrap();
    for sql in ["SELECT version()", "SELECT formatDateTime(toDateTime64('2026-11-18 11:08:43.456',3,'UTC'), '%Y-%m-%dT%H:%i:%S.%fZ', 'UTC')",
      "SELECT formatDateTime(toStartOfHour(toDateTime64('2026-11-18 11:08:43.456',3,'UTC')), '%Y-%m-%dT%H:00:00Z', 'UTC')", "SELECT sum(toDecimal128(1,12)) SETTINGS output_format_json_quote_decimals=1", "SELECT name, value FROM system.server_settings WHERE name in ('max_server_memory_usage','background_pool_size','mark_cache_size')", "SELECT count() FROM system.tables WHERE database = currentDatabase()"] {
        let out = ledger.engine.select(sql, "JSONEachRow").await;
        eprintln!("{sql} -> {:?}", out.map(|o| String::from_utf8(o).unwrap()));
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn probe_two() {
    let Some(ledger) = ledger().await else { return };
    ledger.store.migrate().await.unwrap();
}
