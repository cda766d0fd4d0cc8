//! Stories in `tests/scenarios/*.talk`, each run over a store in memory and over the real store.
//!
//! `KEDGE_REWRITE=1 cargo test --test scenarios` writes what really came into the stories.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};

use kedge::adapters::storage::{OpenOptions, RedbStore};
use kedge::index::lineage::LinkError;
use kedge::service::ports::Store;

use support::MemoryStore;
use support::talk::{Ran, Talk};

/// The program's own store, in memory.
struct Redb(RedbStore);

impl Default for Redb {
    fn default() -> Self {
        let options = OpenOptions {
            cache_bytes: 4 << 20,
        };
        let backend = redb::backends::InMemoryBackend::new();
        Self(RedbStore::with_backend(backend, options).unwrap())
    }
}

impl Store for Redb {
    type Error = <RedbStore as Store>::Error;
    type Snapshot = <RedbStore as Store>::Snapshot;
    type Txn<'t> = <RedbStore as Store>::Txn<'t>;

    fn latest(&self) -> std::sync::Arc<Self::Snapshot> {
        self.0.latest()
    }

    fn commits(&self) -> u64 {
        self.0.commits()
    }

    fn write<R>(
        &self,
        change: impl FnOnce(&mut Self::Txn<'_>) -> Result<R, LinkError<Self::Error>>,
    ) -> Result<R, LinkError<Self::Error>> {
        self.0.write(change)
    }
}

fn run<S: Store + Default>(script: &str) -> Ran {
    Talk::<S>::default().run(script)
}

#[test]
fn every_story_ends_as_it_is_told() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut stories: Vec<PathBuf> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "talk"))
        .collect();
    stories.sort();
    assert!(stories.len() >= 15, "stories are missing: {stories:?}");
    let mut faults = Vec::new();
    for story in stories {
        let script = std::fs::read_to_string(&story).unwrap();
        let file = story.file_name().unwrap().to_string_lossy().into_owned();
        let in_memory = run::<MemoryStore>(&script);
        let in_redb = run::<Redb>(&script);
        if std::env::var_os("KEDGE_REWRITE").is_some() {
            std::fs::write(&story, &in_memory.rewritten).unwrap();
        }
        for (store, ran) in [("memory", in_memory), ("redb", in_redb)] {
            for fault in ran.faults {
                faults.push(format!("{file} over {store}, {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}
