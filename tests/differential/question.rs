//! Random questions about a world of zones: at, near, below and outside its names.

use super::common::Chance;
use super::common::message::{CD, Query, RD};
use super::name::Name;
use super::zone::Zone;

/// Types that are asked for; the first are asked most.
const COMMON: &[u16] = &[1, 28, 16, 15, 5, 2, 43, 6];
const OTHERS: &[u16] = &[
    12, 13, 17, 29, 33, 35, 39, 44, 47, 48, 52, 59, 64, 65, 99, 108, 256, 257, 65_280, 65_281,
];

/// Labels that no zone of the generator uses, and some that all use.
const LABELS: &[&[u8]] = &[b"nx", b"a", b"b", b"*", b"www", b"ns", b"d.t", b"\xff"];

/// One random question.
pub(crate) fn question(zones: &[Zone], id: u16, chance: &mut Chance) -> Query {
    let zone = chance.pick(zones);
    let mut name = chance.pick(&zone.names).clone();
    match chance.below(100) {
        0..35 => {}
        35..60 => {
            for _ in 0..=chance.below(3) {
                name = name.child(chance.pick::<&[u8]>(LABELS));
            }
        }
        60..68 => name = name.parent(),
        68..74 => name = name.parent().child(chance.pick::<&[u8]>(LABELS)),
        74..80 if !zone.cuts.is_empty() => name = near(chance.pick(&zone.cuts), chance),
        80..90 if !zone.subtrees.is_empty() => name = near(chance.pick(&zone.subtrees), chance),
        90..92 if !zone.subtrees.is_empty() => name = long(chance.pick(&zone.subtrees), chance),
        92..94 => name = Name::plain("outside.example"),
        94 => name = long(&name, chance),
        _ => name = zone.origin.child(chance.pick::<&[u8]>(LABELS)),
    }
    if !name.fits() {
        name = zone.origin.clone();
    }
    let kind = if chance.percent(65) {
        *chance.pick(COMMON)
    } else {
        *chance.pick(OTHERS)
    };
    let mut query = Query::new(id, &name.wire(chance), kind);
    query.flags |= if chance.percent(10) { RD } else { 0 };
    query.flags |= if chance.percent(5) { CD } else { 0 };
    query.dnssec_ok = chance.percent(15);
    if chance.percent(5) {
        query.edns = None;
    }
    query
}

/// The name itself or one below.
fn near(name: &Name, chance: &mut Chance) -> Name {
    if chance.percent(40) {
        name.clone()
    } else {
        name.child(chance.pick::<&[u8]>(LABELS))
    }
}

/// A name that fills the length limit, so that rewriting makes it too long.
fn long(name: &Name, chance: &mut Chance) -> Name {
    let mut name = name.clone();
    for length in [63, 63, 31, 15, 7, 3, 1] {
        let child = name.child(&vec![b'l'; length]);
        if child.fits() && chance.percent(90) {
            name = child;
        }
    }
    name
}
