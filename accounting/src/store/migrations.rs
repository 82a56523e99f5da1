//! Brings the database to the shape that this version needs.
//!
//! Each file of `sql/` is applied once, in order, and never changed after a release. Its statements can be
//! repeated, so a crash in the middle of a file is repaired by the next start.

use super::engine::{Engine, StoreError};

const MIGRATIONS: &[(u32, &str, &str)] = &[
    (1, "usage_events", include_str!("sql/0001_usage_events.sql")),
    (2, "rollups", include_str!("sql/0002_rollups.sql")),
    (3, "dead_letters_and_boots", include_str!("sql/0003_dead_letters_and_boots.sql")),
];

const STATE: &str = "CREATE TABLE IF NOT EXISTS schema_migrations
    (id UInt32, name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'))
    ENGINE = ReplacingMergeTree ORDER BY id";

/// Applies what has not been applied yet.
///
/// # Errors
/// When the engine cannot be reached, refuses a statement, or holds a newer schema than this program knows.
pub(super) async fn migrate(engine: &dyn Engine) -> Result<(), StoreError> {
    engine.execute(STATE).await?;
    let applied = engine.select("SELECT max(id) FROM schema_migrations", "TSV").await?;
    let applied = String::from_utf8_lossy(&applied).trim().parse().unwrap_or(0);
    let newest = MIGRATIONS.last().map_or(0, |(id, ..)| *id);
    if applied > newest {
        return Err(StoreError::Answer(format!(
            "the ledger has schema {applied}, this program knows up to {newest}: run a newer version"
        )));
    }
    for (id, name, sql) in MIGRATIONS.iter().filter(|(id, ..)| *id > applied) {
        for statement in statements(sql) {
            engine.execute(&statement).await?;
        }
        let done = format!("INSERT INTO schema_migrations (id, name) VALUES ({id}, '{name}')");
        engine.execute(&done).await?;
        tracing::info!(id, name, "ledger schema applied");
    }
    Ok(())
}

/// The statements of a file: each ends with a line that ends in `;`. Comment lines are left out.
fn statements(sql: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut current = String::new();
    for line in sql.lines().filter(|line| !line.trim_start().starts_with("--")) {
        match line.trim_end().strip_suffix(';') {
            Some(last) => {
                current.push_str(last);
                all.push(std::mem::take(&mut current).trim().to_owned());
            }
            None => {
                current.push_str(line);
                current.push('\n');
            }
        }
    }
    if !current.trim().is_empty() {
        all.push(current.trim().to_owned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_at_lines_that_end_in_a_semicolon() {
        let found = statements("-- why; not\nCREATE a\n(x);\n\n-- b\nCREATE b;\nDROP c");
        assert_eq!(found, ["CREATE a\n(x)", "CREATE b", "DROP c"]);
    }

    #[test]
    fn every_statement_of_a_migration_can_be_repeated() {
        for (id, name, sql) in MIGRATIONS {
            for statement in statements(sql) {
                assert!(statement.contains("IF NOT EXISTS"), "{id} {name}: {statement}");
            }
        }
    }

    #[test]
    fn migrations_are_numbered_without_a_gap() {
        let numbers: Vec<_> = MIGRATIONS.iter().map(|(id, ..)| *id).collect();
        assert_eq!(numbers, (1..=MIGRATIONS.len() as u32).collect::<Vec<_>>());
    }
}
