//! Random histories on the index, in memory and in redb, against the naive model.

use kedge::adapters::storage::{OpenOptions, RedbStore};
use kedge::index::memory::MemoryIndex;
use kedge::index::verify::verify;
use kedge::index::view::IndexView;
use kedge::service::ports::Store;
use proptest::prelude::*;
use redb::backends::InMemoryBackend;

use crate::history::naive::Naive;
use crate::history::{History, check, found_root, model_step, steps};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_history_is_the_models_in_memory_and_in_redb(steps in steps()) {
        let mut memory = MemoryIndex::new();
        let mut naive = Naive::default();
        let world = found_root(&mut memory);
        let mut history = History { world, txn: &mut memory };
        for step in &steps {
            let scopes = history.txn.scope_count().unwrap();
            let decided = history.take(step);
            let allowed = model_step(&mut naive, &*history.txn, step, scopes);
            prop_assert_eq!(decided, allowed, "{:?}", step);
            check(&*history.txn, &naive);
        }

        let options = OpenOptions { cache_bytes: 1 << 20 };
        let store = RedbStore::with_backend(InMemoryBackend::new(), options).unwrap();
        store.write(|txn| {
            let world = found_root(txn);
            let mut history = History { world, txn };
            for step in &steps {
                history.take(step);
            }
            Ok(())
        }).unwrap();

        // What redb holds is what its lineages give, and that is what memory holds.
        let mut rebuilt = MemoryIndex::new();
        verify(&*store.latest(), &mut rebuilt, |_| {}).unwrap();
        prop_assert_eq!(&rebuilt, &memory);
        let mut again = MemoryIndex::new();
        verify(&memory, &mut again, |_| {}).unwrap();
        prop_assert_eq!(&again, &memory);
    }
}
