//! Entries that move from one scope to another.

use kedge::governance::op::Op;
use kedge::index::refusal::Refusal;
use kedge::index::view::IndexView;
use kedge::namespace::path::NamePath;

use crate::world::{adopt_of, head, move_entry, path, register, scope_uid, set};

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
    let head_of = |stage: &Stage| stage.index.scope(ROOT).unwrap().unwrap().head;
    let early = adopt_of(&version, &here, stage.root, head_of(&stage));
    assert_eq!(
        adopt(&mut stage, early.clone()),
        Refusal::Taken(here.clone())
    );
    stage
        .world
        .seal(&mut stage.index, CHILD, vec![reserve])
        .unwrap();
    assert_eq!(adopt(&mut stage, early), no_transfer);

    let transfer = Op::Transfer {
        path: path("api"),
        to: child,
        to_path: here.clone(),
    };
    let link = stage
        .world
        .seal(&mut stage.index, ROOT, vec![transfer])
        .unwrap();
    let block = link.block.digest();
    let forged = adopt_of(
        &kedge::index::entry::Version {
            sets: vec![set("A 60 10.6.6.6")],
            ..version.clone()
        },
        &here,
        stage.root,
        block,
    );
    assert_eq!(adopt(&mut stage, forged), no_transfer);
    let unwitnessed = adopt_of(&version, &here, stage.root, version.digest());
    assert_eq!(adopt(&mut stage, unwitnessed), no_transfer);
    let good = adopt_of(&version, &here, stage.root, block);
    stage
        .world
        .seal(&mut stage.index, CHILD, vec![good.clone()])
        .unwrap();
    assert_eq!(adopt(&mut stage, good), Refusal::Taken(here.clone()));
    let arrived = head(&stage.index, CHILD, "moved");
    assert_eq!((arrived.uid, arrived.number), (version.uid, 2));
    assert_eq!(arrived.predecessor, version.digest());
    // And back again, under another name.
    let back = path("back");
    move_entry(
        &mut stage.world,
        &mut stage.index,
        (CHILD, &here),
        (ROOT, &back),
    )
    .unwrap();
    assert_eq!(head(&stage.index, ROOT, "back").number, 3);
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
    let Stage { world, index, root } = &mut stage;
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
    let link = world.seal(index, ROOT, vec![transfer(&there)]).unwrap();
    let block = link.block.digest();
    // The old scope goes on before the new one takes the entry.
    for number in 0..3 {
        let op = register(&format!("later{number}"), &["A 60 10.0.0.1"]);
        world.seal(index, ROOT, vec![op]).unwrap();
    }
    let genesis = index.link(ROOT, 0).unwrap().unwrap().block.digest();
    let early = adopt_of(&version, &there, *root, genesis);
    assert_eq!(
        world.seal(index, CHILD, vec![early]),
        Err(Refusal::NoTransfer(version.uid))
    );
    let adopt = adopt_of(&version, &there, *root, block);
    world.seal(index, CHILD, vec![adopt]).unwrap();
    assert_eq!(head(index, CHILD, "there").number, 2);
}
