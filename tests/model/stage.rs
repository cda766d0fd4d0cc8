//! A root scope with one of everything, on which single changes are tried.

use kedge::governance::descriptor::Descriptor;
use kedge::governance::op::{Op, SetChange};
use kedge::governance::proposal::Proposal;
use kedge::index::memory::MemoryIndex;
use kedge::index::refusal::Refusal;
use kedge::index::state::ScopeNo;
use kedge::index::view::IndexView;
use kedge::namespace::rtype::RecordType;
use kedge::namespace::scope::ScopeUid;
use kedge::namespace::uid::Uid;

use crate::world::{World, key, path, register, scope_uid, set};

pub(crate) const ROOT: ScopeNo = ScopeNo(0);
pub(crate) const CHILD: ScopeNo = ScopeNo(1);

/// A root scope with one of everything, and a child at `eu`.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) index: MemoryIndex,
    pub(crate) root: ScopeUid,
}

pub(crate) fn stage() -> Stage {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    world.root(&mut index, "mesh.internal.", &[key(1)]);
    world.child(&mut index, ROOT, "eu", &[key(2)]).unwrap();
    let other = scope_uid(&index, CHILD);
    let ops = vec![
        register("api", &["A 60 10.0.0.1"]),
        register("x.tree", &["A 60 10.0.0.2"]),
        register("dname", &["DNAME 60 elsewhere."]),
        register("old", &["A 60 10.0.0.3"]),
        register("gone", &["A 60 10.0.0.4"]),
        register("y.oldtree", &["A 60 10.0.0.5"]),
        rename("old", "new", false),
        rename("oldtree", "newtree", true),
        Op::Retire { path: path("gone") },
        Op::Reserve {
            path: path("kept"),
            uid: Uid::from_bytes([7; 16]),
            from: other,
        },
    ];
    world.seal(&mut index, ROOT, ops).unwrap();
    let root = scope_uid(&index, ROOT);
    Stage { world, index, root }
}

pub(crate) fn rename(from: &str, to: &str, subtree: bool) -> Op {
    Op::Rename {
        from: path(from),
        to: path(to),
        subtree,
    }
}

pub(crate) fn put(at: &str, text: &str) -> Op {
    Op::Update {
        path: path(at),
        changes: vec![SetChange::Put(set(text))],
        may_empty: false,
    }
}

pub(crate) fn remove(at: &str, kind: RecordType) -> Op {
    Op::Update {
        path: path(at),
        changes: vec![SetChange::Remove(kind)],
        may_empty: false,
    }
}

impl Stage {
    /// Decides a proposal and checks that a refusal left nothing behind.
    pub(crate) fn decide(&mut self, proposal: Proposal) -> Refusal {
        let before = self.index.clone();
        let refusal = self
            .world
            .decide(&mut self.index, ROOT, proposal)
            .unwrap_err();
        assert_eq!(self.index, before, "{refusal} left something behind");
        refusal
    }

    pub(crate) fn refused(&mut self, ops: Vec<Op>) -> Refusal {
        let proposal = self.world.proposal(self.root, ops);
        self.decide(proposal)
    }

    pub(crate) fn next_descriptor(&self, change: impl FnOnce(&mut Descriptor)) -> Descriptor {
        let state = self.index.scope(ROOT).unwrap().unwrap();
        let mut next = Descriptor {
            scope: Some(state.uid),
            epoch: state.descriptor.epoch + 1,
            ..state.descriptor
        };
        change(&mut next);
        next
    }
}

pub(crate) fn reconfigure(next: &Descriptor) -> Op {
    Op::Reconfigure {
        next: Box::new(next.clone()),
    }
}
