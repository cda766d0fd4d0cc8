//! What a parent scope says of the recovery of a child, and what comes of it.

use kedge::governance::recovery::RecoveryOffer;
use kedge::index::memory::MemoryIndex;
use kedge::index::proof::Warrant;
use kedge::index::state::ScopeNo;
use kedge::index::view::Link;

use crate::samples::{Sample, form};
use crate::world::recovery::Edge;
use crate::world::{World, key, slot};

const EDGE: Edge = Edge {
    parent: ScopeNo(0),
    child: ScopeNo(1),
    label: "eu",
};

fn tree() -> (World, MemoryIndex) {
    let mut world = World::new();
    let mut index = MemoryIndex::new();
    world.root(&mut index, "mesh.internal.", &[key(1)]);
    world
        .child(&mut index, EDGE.parent, EDGE.label, &[key(4)])
        .unwrap();
    (world, index)
}

pub(crate) fn offer() -> RecoveryOffer {
    let (world, index) = tree();
    EDGE.offer(&world, &index, &[key(7)], 3_600)
}

fn recovered() -> (MemoryIndex, Link) {
    let (mut world, mut index) = tree();
    let link = EDGE.recovered(&mut world, &mut index, &[key(7)]);
    (index, link)
}

pub(crate) fn samples() -> Vec<Sample> {
    use kedge::base::canonical::Form as _;
    let (index, link) = recovered();
    let warrant = Warrant::from_bytes(&link.certificate.warrant).unwrap();
    vec![
        form("recovery-offer", &offer()),
        form("warrant", &warrant),
        form("certificate-warrant", &link.certificate),
        form("body-recovered", &link.body),
        form("slot-recovery", &slot(&index, EDGE.parent, EDGE.label)),
    ]
}
