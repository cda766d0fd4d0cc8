//! Stories told twice: what a node answers by proofs is what the node answers that holds the scopes.

use std::path::Path;
use std::sync::Arc;

use super::network::{Network, heads, id};
use super::node;
use super::support::World;
use super::support::talk::{Talk, commands, question_of};

/// What only a node can say that holds the scopes.
fn is_for_holders(question: &str) -> bool {
    ["_uid.", "_ver.", "_inst."]
        .iter()
        .any(|label| question.to_lowercase().contains(label))
}

/// An answer without the records of the way: who holds the scopes knows short cuts, by the UID of an
/// entry, and has addresses at hand that nobody asked for.
fn end_of(lines: &[String]) -> Vec<&String> {
    let is_on_the_way = |line: &&String| {
        [" CNAME ", "additional "]
            .iter()
            .any(|word| line.contains(word))
    };
    let ends = lines.iter().filter(|line| !is_on_the_way(line));
    ends.collect()
}

/// Tells a story near and far; gives what was answered otherwise, and how many answers were alike.
fn told(script: &str) -> (Vec<String>, usize) {
    let mut talk = Talk::default();
    let network = Network::of(vec![node("near", &talk.world.store)]);
    let (mut far, mut other, mut alike) = (None, Vec::new(), 0);
    for command in commands(script) {
        let (verb, rest) = command.head.split_once(' ').unwrap_or((command.head, ""));
        match verb {
            "EXPECT" | "REFUSE" => continue,
            "QUERY" => {}
            _ => {
                talk.carry_out(&command);
                continue;
            }
        }
        let question = talk.spoken(rest);
        if is_for_holders(&question) {
            continue;
        }
        let far: &mut World = far.get_or_insert_with(|| {
            let network = Arc::<Network>::clone(&network);
            World::far_from(&talk.world, Vec::new(), network)
        });
        far.zones.clone_from(&talk.world.zones);
        far.rules.clone_from(&talk.world.rules);
        far.routes.clone_from(&talk.world.routes);
        far.pin(talk.world.apexes());
        for head in heads(&talk.world.store) {
            far.learner().went_on(&id(0), &head);
        }
        let near_said = talk.ask(&question);
        let far_said = far.ask(&question_of(&question));
        if end_of(&near_said) == end_of(&far_said) {
            alike += 1;
        } else {
            let why = far.explain(&question_of(&question)).join("\n    ");
            other.push(format!(
                "{question}\n  near {near_said:?}\n  far  {far_said:?}\n    {why}"
            ));
        }
    }
    (other, alike)
}

#[test]
fn every_story_is_told_alike_from_afar() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let (mut faults, mut alike) = (Vec::new(), 0);
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|kind| kind != "talk") {
            continue;
        }
        let (other, same) = told(&std::fs::read_to_string(&path).unwrap());
        alike += same;
        let story = path.file_stem().unwrap().to_string_lossy().into_owned();
        faults.extend(other.into_iter().map(|fault| format!("{story}: {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(alike > 100, "only {alike} questions");
}
