//! Which of several upstreams is asked.

use super::super::metrics::get_at;
use super::*;

/// A metric of an upstream.
fn metric(home: &Home, name: &str, upstream: &Scripted) -> f64 {
    let (_, text) = get_at(&home.socket(), "/metrics");
    let begin = format!("{name}{{upstream=\"{}\"}} ", upstream.address);
    let line = text.lines().find_map(|line| line.strip_prefix(&begin));
    line.map_or(0.0, |value| value.parse().unwrap())
}

fn two(first: &Scripted, second: &Scripted) -> Home {
    let (first, second) = (first.address, second.address);
    Home::new(&format!(
        "[legacy]\nupstreams = [\"{first}\", \"{second}\"]\n"
    ))
}

#[test]
fn the_quick_one_is_asked_and_the_silent_one_is_left_alone() {
    let (silent, quick) = (
        Scripted::start(Says::Silence),
        Scripted::start(Says::Address(200)),
    );
    let home = two(&silent, &quick);
    let node = home.serve();
    for number in 0..20 {
        let answer = node.ask(&format!("n{number}.example"));
        assert_eq!(answer[1], format!("n{number}.example. 200 A 192.0.2.44"));
    }
    assert_eq!(quick.asked(), 20);
    // Once, as nothing was known of either.
    assert!(silent.asked() <= 3, "{}", silent.asked());
    assert!((metric(&home, "kedge_upstream_answers_total", &quick) - 20.0).abs() < 0.5);
    assert!(metric(&home, "kedge_upstream_answer_seconds", &quick) < 0.1);
    let said = home.run(&["explain", "explained.example"]);
    let step = format!("asked    {}: answered in ", quick.address);
    assert!(
        said.good().contains(&step) && said.out.contains("ms, usually "),
        "{said:?}"
    );
    node.stop();
}

#[test]
fn one_that_falls_silent_is_overtaken_and_then_asked_last() {
    let (first, second) = (
        Scripted::start(Says::Address(200)),
        Scripted::start(Says::Address(200)),
    );
    let home = two(&first, &second);
    let node = home.serve();
    assert_eq!(node.ask("a.example")[0], "NOERROR ra");
    let (silent, other) = if metric(&home, "kedge_upstream_answers_total", &first) > 0.5 {
        (&first, &second)
    } else {
        (&second, &first)
    };
    silent.now_says(Says::Silence);
    let answered = |number: u32| {
        let answer = node.ask(&format!("n{number}.example"));
        assert_eq!(answer[0], "NOERROR ra");
    };
    (0..20).for_each(answered);
    assert!(metric(&home, "kedge_upstream_failures_total", silent) > 0.5);
    let before = silent.asked();
    // It is left alone now, but for a look at whether it is back, or when the other one takes long.
    (20..40).for_each(answered);
    assert!(silent.asked() - before <= 10, "{} {before}", silent.asked());
    // When it is back and the other one is gone, it is found again.
    silent.now_says(Says::Address(200));
    other.now_says(Says::Silence);
    (40..50).for_each(answered);
    assert!(metric(&home, "kedge_upstream_failures_total", other) > 0.5);
    node.stop();
}
