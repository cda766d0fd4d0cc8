//! What keys besides the anchors' may propose, and how often.

use kedge::governance::descriptor::Descriptor;
use kedge::governance::grant::{Deed, Grant};
use kedge::governance::op::Op;
use kedge::governance::policy::Class;
use kedge::index::memory::MemoryIndex;
use kedge::index::refusal::Refusal;
use kedge::index::verify::verify;

use crate::stage::*;
use crate::world::{candidate, key, register};

fn grant(names: &str, changes_per_day: u32) -> Grant {
    Grant {
        key: key(7).public(),
        holder: "CI".to_owned(),
        names: names.parse().unwrap(),
        kinds: Vec::new(),
        deeds: vec![Deed::Register, Deed::Update],
        changes_per_day,
    }
}

/// A stage whose root scope has these grants.
fn granted(grants: Vec<Grant>) -> Stage {
    let mut stage = stage();
    let next = stage.next_descriptor(|next: &mut Descriptor| next.grants = grants);
    let op = reconfigure(&next);
    stage.world.seal(&mut stage.index, ROOT, vec![op]).unwrap();
    stage
}

impl Stage {
    /// Decides changes that the key of the grants proposes.
    fn by_holder(&mut self, ops: Vec<Op>) -> Result<(), Refusal> {
        let mut proposal = self.world.proposal(self.root, ops);
        proposal.author = key(7).public();
        let candidate = candidate(proposal, &key(7));
        let world = &mut self.world;
        let sealed = world.seal_all(&mut self.index, ROOT, &[candidate], &[key(1)]);
        let mut fresh = MemoryIndex::new();
        verify(&self.index, &mut fresh, |_| {}).unwrap();
        assert_eq!(fresh, self.index, "a replay counts the same");
        sealed.outcomes.into_iter().next().unwrap()
    }

    fn set(&mut self, at: &str, last: u8) -> Result<(), Refusal> {
        self.by_holder(vec![put(at, &format!("A 60 10.0.0.{last}"))])
    }
}

fn spent(used: u32, max: u32) -> Result<(), Refusal> {
    Err(Refusal::Quota { used, max })
}

#[test]
fn a_grant_covers_what_it_says_and_nothing_else() {
    let mut stage = granted(vec![grant("a", 2)]);
    let a = &["A 60 10.0.0.1"];
    let elsewhere = stage.by_holder(vec![register("b", a)]);
    assert!(matches!(elsewhere, Err(Refusal::Author { .. })));
    stage.by_holder(vec![register("a", a)]).unwrap();
    let rename = rename("a", "b", false);
    assert_eq!(rename.class(), Class::Alias);
    let renamed = stage.by_holder(vec![rename]);
    assert!(matches!(renamed, Err(Refusal::Author { .. })));
    stage.set("a", 2).unwrap();
    assert_eq!(stage.set("a", 3), spent(2, 2));
}

#[test]
fn the_quota_is_the_authors_whatever_grants_it_has() {
    let mut stage = granted(vec![grant("api", 2), grant("x.tree", 3)]);
    stage.set("api", 11).unwrap();
    stage.set("api", 12).unwrap();
    // Two grants are no two quotas: the larger one bounds both, where it covers the change.
    assert_eq!(stage.set("api", 13), spent(2, 2));
    stage.set("x.tree", 14).unwrap();
    assert_eq!(stage.set("x.tree", 15), spent(3, 3));
    assert_eq!(stage.set("api", 16), spent(3, 2));
    let tomorrow = stage.world.now().plus_millis(86_400_000);
    while stage.world.now() < tomorrow {}
    stage.set("api", 17).unwrap();
    // All changes of one proposal count.
    let three = (20..23).map(|last| put("x.tree", &format!("A 60 10.0.0.{last}")));
    assert_eq!(stage.by_holder(three.collect()), spent(3, 3));
}

#[test]
fn the_largest_quota_that_covers_a_change_bounds_it() {
    let mut stage = granted(vec![grant("api", 1), grant("*", 3), grant("x.tree", 0)]);
    for last in 11..14 {
        stage.set("api", last).unwrap();
    }
    assert_eq!(stage.set("api", 14), spent(3, 3));
    // A grant for any number bounds nothing; what it let through counts for the others.
    stage.set("x.tree", 15).unwrap();
    assert_eq!(stage.set("api", 16), spent(4, 3));
}

#[test]
fn another_epoch_gives_no_quota_back() {
    let mut stage = granted(vec![grant("api", 1)]);
    stage.set("api", 11).unwrap();
    let next = stage.next_descriptor(|next| next.grants.insert(0, grant("x.tree", 1)));
    let op = reconfigure(&next);
    stage.world.seal(&mut stage.index, ROOT, vec![op]).unwrap();
    assert_eq!(stage.set("x.tree", 12), spent(1, 1));
}
