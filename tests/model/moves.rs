//! Entries that move from one scope to another.

use kedge::base::canonical::Form as _;
use kedge::governance::op::Op;
use kedge::index::passage::Passage;
use kedge::index::refusal::Refusal;
use kedge::index::view::IndexView;
use kedge::namespace::path::NamePath;

use crate::world::{World, adopt_of, head, move_entry, path, register, scope_uid};

use crate::stage::*;

#[test]
fn an_entry_arrives_once_and_as_it_left() {
    let mut stage = stage();
    let here = path("moved");
    let version = head(&stage.index, ROOT, "api");
    let no_transfer = Refusal::NoTransfer(version.uid);
    let child = scope_uid(&stage.index, CHILD);
    let reserve = Op::Reserve {
        path: here.clone(),
        uid: version.uid,
        from: stage.root,
    };
    let adopt = |stage: &mut Stage, op: Op| {
        let before = stage.index.clone();
        let refusal = stage.world.seal(&mut stage.index, CHILD, vec![op]);
        let refusal = refusal.unwrap_err();
        assert_eq!(stage.index, before);
        refusal
    };
    let from = stage.root;
    let adopted = |passage: Vec<u8>| Op::Adopt {
        path: here.clone(),
        uid: version.uid,
        number: version.number,
        from,
        passage,
    };
    let none = adopted(Vec::new());
    assert_eq!(
        adopt(&mut stage, none.clone()),
        Refusal::Taken(here.clone())
    );
    stage
        .world
        .seal(&mut stage.index, CHILD, vec![reserve])
        .unwrap();
    assert_eq!(adopt(&mut stage, none), no_transfer);

    let transfer = Op::Transfer {
        path: path("api"),
        to: child,
        to_path: here.clone(),
    };
    stage
        .world
        .seal(&mut stage.index, ROOT, vec![transfer])
        .unwrap();
    let good = adopt_of(&stage.index, &version, (ROOT, &path("api")), &here);
    let passage = Passage::make(&stage.index, ROOT, &path("api")).unwrap();
    let passage = passage.to_bytes();
    // Whatever is changed of it, nothing is proven any more.
    for at in 0..passage.len() {
        let mut forged = passage.clone();
        forged[at] ^= 1;
        assert_eq!(adopt(&mut stage, adopted(forged)), no_transfer, "byte {at}");
    }
    let mut numbered = good.clone();
    if let Op::Adopt { number, .. } = &mut numbered {
        *number += 1;
    }
    assert_eq!(adopt(&mut stage, numbered), no_transfer);
    stage
        .world
        .seal(&mut stage.index, CHILD, vec![good.clone()])
        .unwrap();
    assert_eq!(adopt(&mut stage, good), Refusal::Taken(here.clone()));
    let arrived = head(&stage.index, CHILD, "moved");
    assert_eq!((arrived.uid, arrived.number), (version.uid, 2));
    assert_eq!(arrived.predecessor, version.digest());
}

#[test]
fn an_entry_comes_back_under_another_name() {
    let mut stage = stage();
    let Stage { world, index, .. } = &mut stage;
    let (api, here, back) = (path("api"), path("moved"), path("back"));
    move_entry(world, index, (ROOT, &api), (CHILD, &here)).unwrap();
    move_entry(world, index, (CHILD, &here), (ROOT, &back)).unwrap();
    assert_eq!(head(index, ROOT, "back").number, 3);
}

#[test]
fn an_entry_on_its_way_is_not_stranded_by_what_happens_meanwhile() {
    let mut stage = stage();
    let (here, there) = (path("dname.there"), path("there"));
    let version = head(&stage.index, ROOT, "api");
    let target = scope_uid(&stage.index, CHILD);
    let reserve = |at: &NamePath| Op::Reserve {
        path: at.clone(),
        uid: version.uid,
        from: stage.root,
    };
    let (first, second) = (reserve(&here), reserve(&there));
    let Stage { world, index, .. } = &mut stage;
    world.seal(index, CHILD, vec![first]).unwrap();
    let transfer = |to: &NamePath| Op::Transfer {
        path: path("api"),
        to: target,
        to_path: to.clone(),
    };
    // The reservation is given up before anything came, and the path is free again.
    let retire = Op::Retire { path: here.clone() };
    world.seal(index, CHILD, vec![retire]).unwrap();
    assert_eq!(index.slot(CHILD, &here).unwrap(), None);
    world.seal(index, CHILD, vec![second]).unwrap();
    world.seal(index, ROOT, vec![transfer(&there)]).unwrap();
    // The old scope goes on before the new one takes the entry.
    for number in 0..3 {
        let op = register(&format!("later{number}"), &["A 60 10.0.0.1"]);
        world.seal(index, ROOT, vec![op]).unwrap();
    }
    let adopt = adopt_of(index, &version, (ROOT, &path("api")), &there);
    world.seal(index, CHILD, vec![adopt]).unwrap();
    assert_eq!(head(index, CHILD, "there").number, 2);
}

#[test]
fn a_passage_is_good_for_one_arrival() {
    let mut stage = stage();
    let version = head(&stage.index, ROOT, "api");
    let child = scope_uid(&stage.index, CHILD);
    let Stage { world, index, root } = &mut stage;
    let (api, here) = (path("api"), path("moved"));
    let reserve = Op::Reserve {
        path: here.clone(),
        uid: version.uid,
        from: *root,
    };
    let transfer = Op::Transfer {
        path: api.clone(),
        to: child,
        to_path: here.clone(),
    };
    world.seal(index, CHILD, vec![reserve.clone()]).unwrap();
    world.seal(index, ROOT, vec![transfer]).unwrap();
    let adopt = adopt_of(index, &version, (ROOT, &api), &here);
    world.seal(index, CHILD, vec![adopt.clone()]).unwrap();
    // It went back, and its old path is free again.
    move_entry(world, index, (CHILD, &here), (ROOT, &path("back"))).unwrap();
    let retire = Op::Retire { path: here.clone() };
    world.seal(index, CHILD, vec![retire]).unwrap();
    world.seal(index, CHILD, vec![reserve.clone()]).unwrap();
    let again = world.seal(index, CHILD, vec![adopt.clone()]);
    assert_eq!(again, Err(Refusal::NoTransfer(version.uid)));
    assert_eq!(head(index, ROOT, "back").uid, version.uid);
    // Nor once it ended.
    let end = Op::Retire { path: path("back") };
    world.seal(index, ROOT, vec![end]).unwrap();
    let again = world.seal(index, CHILD, vec![adopt]);
    assert_eq!(again, Err(Refusal::NoTransfer(version.uid)));
}

#[test]
fn an_entry_comes_only_from_a_scope_whose_blocks_were_replayed() {
    let mut stage = stage();
    let version = head(&stage.index, ROOT, "api");
    let child = scope_uid(&stage.index, CHILD);
    // A scope of somebody's own, which nobody here holds, and whose certificates hold.
    let mut elsewhere = self::stage();
    elsewhere.world = World::new();
    let key = crate::world::key(77);
    let far = elsewhere
        .world
        .root(&mut elsewhere.index, "far.test.", &[key]);
    let register = register("api", &["A 60 10.0.0.1"]);
    elsewhere
        .world
        .seal(&mut elsewhere.index, far, vec![register])
        .unwrap();
    let theirs = head(&elsewhere.index, far, "api");
    let transfer = Op::Transfer {
        path: path("api"),
        to: child,
        to_path: path("moved"),
    };
    elsewhere
        .world
        .seal(&mut elsewhere.index, far, vec![transfer])
        .unwrap();
    let from = scope_uid(&elsewhere.index, far);
    let reserve = Op::Reserve {
        path: path("moved"),
        uid: theirs.uid,
        from,
    };
    let adopt = adopt_of(
        &elsewhere.index,
        &theirs,
        (far, &path("api")),
        &path("moved"),
    );
    let Stage { world, index, .. } = &mut stage;
    world.seal(index, CHILD, vec![reserve]).unwrap();
    let refusal = world.seal(index, CHILD, vec![adopt]);
    assert_eq!(refusal, Err(Refusal::UnknownScope(from)));
    assert_eq!(head(index, ROOT, "api"), version);
}
