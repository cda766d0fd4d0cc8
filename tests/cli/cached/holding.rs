//! What the cache holds: shown, forgotten, dumped and loaded.

use super::*;

#[test]
fn what_is_held_is_shown_and_forgotten_everywhere() {
    let upstream = Scripted::start(Says::Address(200));
    let home = Home::new(&upstream.config(""));
    let node = home.serve();
    let names = ["a.example", "b.a.example", "c.example"];
    // Often enough that every listener keeps it.
    for name in names {
        for _ in 0..20 {
            assert_eq!(node.ask(name)[0], "NOERROR ra");
        }
    }
    assert_eq!(upstream.asked(), 3);
    let shown = home.run(&["cache", "show"]);
    assert!(shown.good().starts_with("3 answer(s) in "), "{shown:?}");
    let line = format!("upstream {}: usually ", upstream.address);
    assert!(shown.out.contains(&line), "{shown:?}");
    let shown = home.run(&["cache", "show", "a.example"]);
    assert!(
        shown.good().starts_with("a.example. A: fresh, "),
        "{shown:?}"
    );
    assert!(
        shown.out.contains("answer: a.example. 200 IN A 192.0.2.44"),
        "{shown:?}"
    );
    assert!(
        shown
            .out
            .contains(&format!("NOERROR from {}", upstream.address)),
        "{shown:?}"
    );
    let nothing = home.run(&["cache", "show", "d.example"]);
    assert_eq!(nothing.code, 4, "{nothing:?}");

    let asked_again = |arguments: &[&str], count: usize| {
        home.run(arguments).good();
        let before = upstream.asked();
        for name in names {
            // From many ports, so that each listener is asked.
            for _ in 0..20 {
                assert_eq!(node.ask(name)[0], "NOERROR ra");
            }
        }
        assert_eq!(upstream.asked() - before, count, "{arguments:?}");
    };
    asked_again(&["cache", "flush", "a.example"], 1);
    asked_again(&["cache", "flush", "a.example", "--below"], 2);
    asked_again(&["cache", "flush"], 3);
    asked_again(&["cache", "flush", "other.example", "--below"], 0);
    let refused = home.run(&["cache", "flush", "--below"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    node.stop();
}

#[test]
fn what_is_dumped_can_be_loaded_by_another_node_and_never_replaces_what_is_fresh() {
    let (one, other) = (
        Scripted::start(Says::Address(200)),
        Scripted::start(Says::Address(100)),
    );
    let (first, second) = (Home::new(&one.config("")), Home::new(&other.config("")));
    let (node, next) = (first.serve(), second.serve());
    for name in ["a.example", "b.example"] {
        node.ask(name);
    }
    let dumped = first.run(&["cache", "dump"]);
    assert_eq!(dumped.good().lines().count(), 2, "{dumped:?}");
    let broken = dumped
        .out
        .lines()
        .next()
        .unwrap()
        .replace("192.0.2.44", "192.0.2.444");
    let ahead = dumped
        .out
        .lines()
        .next()
        .unwrap()
        .replace("\"stored_ms\":1", "\"stored_ms\":9");
    second.write(
        "lines",
        &format!("{}{broken}\n{ahead}\nnonsense\n\n", dumped.out),
    );
    // This one knows a name itself.
    assert!(next.ask("b.example")[1].starts_with("b.example. 100 A"));
    let loaded = second.run(&["cache", "load", "lines"]);
    let expected = "1 answer(s) loaded; 1 older than what is held, 0 over, 3 of no use";
    assert!(loaded.good().starts_with(expected), "{loaded:?}");
    assert!(loaded.out.contains("192.0.2.444"), "{loaded:?}");
    let asked = other.asked();
    let answer = next.ask("a.example");
    assert!(answer[1].ends_with(" A 192.0.2.44"), "{answer:?}");
    assert!(!answer[1].contains(" 100 A "), "{answer:?}");
    assert_eq!(other.asked(), asked);
    let shown = second.run(&["cache", "show", "a.example"]);
    assert!(
        shown
            .good()
            .contains(&format!("from {}, loaded", one.address)),
        "{shown:?}"
    );
    assert!(next.ask("b.example")[1].contains(" A 192.0.2.44"));
    next.stop();
    node.stop();
}
