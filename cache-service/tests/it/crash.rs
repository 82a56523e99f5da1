//! `kill -9` in the middle of filling: nothing that was committed is missing afterwards.

use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tollgate_schemas::cache::CacheStore;

use crate::support::*;

const ENTRIES: usize = 400;
const KILLS: usize = 3;

/// The real program; killed when this is dropped.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        // On unix this is SIGKILL; an error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn journal_bytes(dir: &TempDir) -> u64 {
    let files = std::fs::read_dir(dir.path().join("cache")).into_iter().flatten().flatten();
    files.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
}

#[tokio::test]
async fn acknowledged_entries_survive_kill_9() {
    let dir = TempDir::new().unwrap();
    let index = embedded_index(dir.path());
    let config = config(dir.path(), &index, "none", "");
    let file = dir.path().join("cache.yaml");
    let yaml = format!(
        "listen: 127.0.0.1:0\nevents: {{ embedded: {{ path: {} }} }}\nindex: {index}\n",
        dir.path().join("events").display()
    );
    std::fs::write(&file, yaml).unwrap();
    let stores: Vec<CacheStore> = (0..ENTRIES)
        .map(|n| store(partition(&format!("tenant-{}", n % 7)), &format!("question {n}"), &"x".repeat(2_000)))
        .collect();
    publish(&*tollgate_eventlog::open(&config.events).unwrap(), stores.iter().map(store_record).collect());

    for _ in 0..KILLS {
        let before = journal_bytes(&dir);
        let program = Command::new(env!("CARGO_BIN_EXE_tollgate-cache"))
            .arg("--config")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let program = Program(program);
        // In the middle of it, wherever that is; the last round may find everything written already.
        let complete = (ENTRIES * 2_000) as u64;
        until("the journal to grow", async || {
            let bytes = journal_bytes(&dir);
            bytes > before || bytes >= complete
        })
        .await;
        drop(program);
    }

    let service = Service::start(&dir, &index, "none").await;
    for stored in &stores {
        let question = question(stored.partition.clone(), &stored.text, None);
        let hit = service.await_hit(&question).await.hit.unwrap();
        assert_eq!(hit.event_id, stored.event_id);
        assert_eq!(hit.response.get(), stored.response.get());
    }
    service.stop().await;
}
