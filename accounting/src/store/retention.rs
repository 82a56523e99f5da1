//! How long events stay in the ledger: a rule on the table, which the engine follows in the background.

use super::engine::{Engine, StoreError};

/// Sets the rule to `months`; does nothing if that is what it says.
///
/// # Errors
/// When the engine cannot be reached or refuses.
pub(super) async fn keep_months(engine: &dyn Engine, months: u32) -> Result<(), StoreError> {
    const TABLE: &str =
        "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = 'usage_events'";
    let table = engine.select(TABLE, "TSV").await?;
    if says(&String::from_utf8_lossy(&table), months) {
        return Ok(());
    }
    engine
        .execute(&format!(
            "ALTER TABLE usage_events MODIFY TTL toDateTime(event_time) + toIntervalMonth({months})"
        ))
        .await?;
    tracing::warn!(months, "the ledger's retention was changed: events that are older are deleted");
    Ok(())
}

/// The engine writes every interval of months in this form.
fn says(table: &str, months: u32) -> bool {
    table.contains(&format!("toIntervalMonth({months})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_of_a_table_is_read_from_its_definition() {
        let table = "ReplacingMergeTree(version) ORDER BY x TTL toDateTime(event_time) + toIntervalMonth(25) SETTINGS y = 1";
        assert!(says(table, 25));
        assert!(!says(table, 2) && !says(table, 5) && !says(table, 250));
    }
}
