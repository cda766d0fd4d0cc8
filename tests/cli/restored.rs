//! An anchor whose disk is an old one: it says nothing where it may have voted before.

use std::fs;
use std::path::Path;

use super::council::{Council, NODES};
use super::node::Home;
use super::peers::until;

const SCOPE: &str = "mesh.internal";
const ORDERING: &str = "data/ordering.redb";
const LAST: usize = NODES - 1;

/// Copies what is in a directory, and below it.
fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &to);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What is beside the rows of a node: changes with the first signature at a height.
fn mark(home: &Home) -> Option<Vec<u8>> {
    fs::read(home.path("data/ordering.mark")).ok()
}

/// Stops the last node, has `keep` copy what it has, and has it vote at a height that is not decided.
fn voted(keep: impl FnOnce(&Home)) -> Council {
    let mut council = Council::new();
    council.put(LAST, "before", "10.7.0.1").good();
    council.nodes[LAST].take().unwrap().stop();
    keep(&council.homes[LAST]);
    council.start(LAST);
    council.put(LAST, "between", "10.7.0.2").good();
    council.kill(1);
    council.kill(2);
    let before = mark(&council.homes[LAST]);
    let waits = council.put(0, "open", "10.7.0.3");
    assert!(waits.good().starts_with("pending"), "{waits:?}");
    until("a vote", || {
        (mark(&council.homes[LAST]) != before).then_some(())
    });
    council.nodes[LAST].take().unwrap().stop();
    council
}

/// Two others and the last one would be enough, were it not for its doubts; these end with a block that
/// the others decide.
fn sits_out_and_comes_back(mut council: Council, why: &str) {
    council.start(LAST);
    council.start(1);
    let concern = |council: &Council| {
        let shown = council.homes[LAST].json(&["scope", "show", SCOPE]);
        shown["doubted"].as_str().map(str::to_owned)
    };
    let said = until(why, || concern(&council).filter(|said| said.contains(why)));
    assert!(said.contains("neither vote nor propose"), "{said}");
    let home = &council.homes[LAST];
    let doctored = home.run(&["doctor"]).out;
    assert!(
        doctored.contains(why) && doctored.contains("kedge anchor rotate"),
        "{doctored}"
    );
    let explained = home.run(&["explain", "before.mesh.internal"]);
    assert!(
        explained.good().contains("doubted  mesh.internal.: "),
        "{explained:?}"
    );
    let waits = council.put(1, "more", "10.7.0.4");
    assert!(waits.good().starts_with("pending"), "{waits:?}");
    assert!(concern(&council).is_some());
    council.start(2);
    for name in ["open", "more"] {
        let address = if name == "open" {
            "10.7.0.3"
        } else {
            "10.7.0.4"
        };
        (0..NODES).for_each(|at| council.answers(at, name, address));
    }
    until("its doubts to end", || {
        concern(&council).is_none().then_some(())
    });
    // It is needed again, and votes.
    council.kill(2);
    let done = council.put(LAST, "after", "10.7.0.5");
    assert!(done.good().starts_with("committed"), "{done:?}");
    council.start(2);
    council.answers(2, "after", "10.7.0.5");
    council.end();
}

#[test]
fn an_older_ordering_file_is_noticed_and_its_anchor_sits_out() {
    let council = voted(|home| {
        fs::copy(home.path(ORDERING), home.path("old.redb")).unwrap();
    });
    let home = &council.homes[LAST];
    fs::copy(home.path("old.redb"), home.path(ORDERING)).unwrap();
    sits_out_and_comes_back(council, "ordering.redb is older than ordering.mark");
}

#[test]
fn an_older_data_directory_is_shown_by_others_what_it_forgot() {
    let council = voted(|home| copy_all(&home.path("data"), &home.path("old")));
    let home = &council.homes[LAST];
    fs::remove_dir_all(home.path("data")).unwrap();
    copy_all(&home.path("old"), &home.path("data"));
    sits_out_and_comes_back(council, "others were sent votes of this node");
}
